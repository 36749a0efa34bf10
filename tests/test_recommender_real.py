"""The recommender notebook's section on real films, and what it stores of many seeds."""

import json

import numpy as np
import pytest

from common.ratings import ratings
from tools import spread
from tools.notebooks import load, source
from tools.project import NOTEBOOKS

NOTEBOOK = NOTEBOOKS[3]
STORED = json.loads(spread.STORED.read_text(encoding="utf-8"))


def said(start: str) -> str:
    """Return what the cell printed whose code holds `start`."""
    (cell,) = (
        c for c in load(NOTEBOOK)["cells"] if c["cell_type"] == "code" and start in source(c)
    )
    return "".join(line for o in cell["outputs"] for line in o.get("text", []))


def test_the_section_says_whose_ratings_they_are_and_what_they_are_for():
    everything = "\n".join(map(source, load(NOTEBOOK)["cells"]))
    section = everything[everything.index("\n## Real films") : everything.index("\n## Yours")]
    for part in ("ml-latest-small", "licence", "README.txt", "development data set", "this run"):
        assert part in section
    assert "MovieLens 100K" not in everything
    assert "ml-100k" not in everything


def test_the_real_section_is_never_empty():
    assert "100,836 ratings from 0.5 to 5, 610 users × 9,724 films" in said("real = load_ratings()")
    table = said("film_errors, taken =")
    for name in ("global mean", "user means", "film means", "biases alone", "popularity"):
        assert name in table
    assert "hidden by time" in said("film_lists =")
    assert said("_along = often").count(" | ") == 12


# What many seeds gave --------------------------------------------------------------------------


def test_every_measurement_has_at_least_twenty_seeds():
    assert {*STORED} == {*spread.PLANS}
    for name, found in STORED.items():
        for draws in found.values() if isinstance(found, dict) else [found]:
            assert name == "small oracle" or len(draws) >= 20, name
    assert len(STORED["small"]) == 110


@pytest.mark.slow
def test_the_tool_and_the_page_measure_the_same():
    for name, plan in (("easy", 1e-6), ("traits_found", 1e-3), ("large", 1e-2), ("cold", 1e-2)):
        found = spread.functions(name)[name](spread.SEEDS[0])
        stored = STORED[name][0]
        pairs = (
            [(found[k], stored[k]) for k in found] if isinstance(found, dict) else [(found, stored)]
        )
        for a, b in pairs:
            assert a == pytest.approx(b, rel=1e-2, abs=plan), name
    for share in ("0.02", "0.03"):
        way = ("ALS, λ path",)
        found = spread.functions("angles")["angles"](float(share), spread.SEEDS[0], way)
        assert found[way[0]] == pytest.approx(STORED["angles"][share][0][way[0]], abs=0.1)


@pytest.mark.slow
def test_scores_of_a_list_are_those_of_the_definition():
    rng = np.random.default_rng(0)
    for _ in range(20):
        table, seen = rng.random((1, 12)), rng.random((1, 12)) < 0.3
        liked = (rng.random((1, 12)) < 0.4) & ~seen
        if not liked.any():
            continue
        best = sorted((j for j in range(12) if not seen[0, j]), key=lambda j: -table[0, j])[:3]
        hits = [bool(liked[0, j]) for j in best]
        many = min(liked.sum(), 3)
        ideal = sum(1 / np.log2(2 + j) for j in range(many))
        gain = sum(hit / np.log2(2 + j) for j, hit in enumerate(hits))
        recall, ndcg = spread.functions("top_scores")["top_scores"](table, seen, liked, 3)
        assert recall == pytest.approx(sum(hits) / many)
        assert ndcg == pytest.approx(gain / ideal)


@pytest.mark.slow
@pytest.mark.parametrize("by_time", [True, False])
def test_a_fifth_of_each_user_s_ratings_is_hidden(by_time):
    real = ratings()
    hidden = spread.functions("hide_a_fifth")["hide_a_fifth"](by_time, np.random.default_rng(0))
    for user in range(0, real.shape[0], 50):
        mine = real.users == user
        assert hidden[mine].sum() == mine.sum() - np.ceil(0.8 * mine.sum())
        if by_time:
            assert real.times[mine & hidden].min() >= real.times[mine & ~hidden].max()


def test_what_many_seeds_gave_is_what_the_page_says():
    angles = STORED["angles"]
    told, path = "ALS, started at the truth", "ALS, λ path"
    assert max(one[path] / one[told] for one in angles["0.02"]) < 1.2
    assert np.median([one["ALS, 600 sweeps"] for one in angles["0.02"]]) > 45
    assert np.median([one["ALS, 15 sweeps"] for one in angles["0.03"]]) > 30
    assert np.median([one["ALS, 600 sweeps"] for one in angles["0.03"]]) < 6
    small = STORED["small"]
    assert sum(one["η to 0"] > 1.25 for one in small) >= 5  # one-sided sign test: p < 0.05
    assert max(one["η to 0, λ path"] for one in small) < 1.25
    shares = [np.mean([one["popularity's share"] for one in d]) for d in STORED["served"].values()]
    assert shares == sorted(shares)
    films = [np.mean(one["this page"]) for one in STORED["film_folds"]]
    assert max(films) < 0.85
