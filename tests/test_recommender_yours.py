"""*Yours* of the recommender notebook: what it chooses, says, recommends and saves."""

import csv
import json

import numpy as np
import pytest
from recommender_cases import nb

from common import plotting, results
from common.ratings import ratings as load_ratings
from tools.notebooks import alone, code_cells, load, source, tags
from tools.project import NOTEBOOKS, ROOT


@pytest.fixture
def yours(tmp_path, monkeypatch, capsys):
    """Execute *Yours* on a table (users, items, ratings) or text; its names, and what it said."""
    monkeypatch.setattr(results, "ROOT", tmp_path)
    monkeypatch.setattr(plotting, "display", lambda data, metadata, raw: None)
    monkeypatch.chdir(ROOT)
    book = load(NOTEBOOKS[3])
    heading = next(c for c in book["cells"] if "yours" in tags(c))

    def run(table=None, me=None):
        if isinstance(table, tuple):
            lines = (f"u{u},i{i},{float(r)!r}" for u, i, r in zip(*table, strict=True))
            table = "\n".join(["user,item,rating", *lines])
        path = None if table is None else tmp_path / "own.csv"
        if path:
            path.write_text(table, encoding="utf-8")
        space = {}
        for cell in code_cells(alone(book, heading["id"])):
            exec(compile(source(cell), cell["id"], "exec"), space)
            if "parameters" in tags(cell):
                space |= {"MY_RATINGS": None if path is None else str(path), "ME": me}
        assert all(row.passed is not False for row in space["evidence"].rows)
        space["saved"] = tmp_path / "build" / "recommender-system"
        space["report"] = json.loads((space["saved"] / "report.json").read_text("utf-8"))
        return space, capsys.readouterr().out

    return run


def table(n, m, count, rank, seed=0, noise=0.3, taste=1.0, levels=0.0):
    """Ratings of a truth of this rank with levels, and the truth."""
    rng = np.random.default_rng(seed)
    truth = levels * (rng.standard_normal((n, 1)) + rng.standard_normal(m))
    if rank:
        P, Q = rng.standard_normal((n, rank)), rng.standard_normal((m, rank))
        truth = truth + taste * P @ Q.T / np.sqrt(rank)
    users, items = np.divmod(rng.choice(n * m, count, replace=False), m)
    return users, items, truth[users, items] + noise * rng.standard_normal(count), truth


def test_half_stars_of_rank_four_beat_the_baselines(yours):
    users, items, ratings, _ = table(200, 150, 3000, 4)
    stars = np.clip(np.round(2 * (3.2 + ratings)) / 2, 0.5, 5)
    space, said = yours((users, items, stars), "u3")
    report = space["report"]
    assert report["used"] == "factor model"
    assert min(c["rmse"] for c in report["candidates"]) < 0.85 * min(report["baselines"].values())
    assert {*report["baselines"]} == {
        "global mean", "popularity", "user means", "item means", "biases only",
    }  # fmt: skip
    assert "beats all baselines" in said
    assert "because you rated i" in said


def test_a_model_that_knows_nothing_says_so_and_the_best_baseline_recommends(yours):
    users, items, ratings, _ = table(80, 60, 1200, 0, noise=0.8, levels=0.6)
    space, said = yours((users, items, ratings), "u3")
    report = space["report"]
    assert report["used"] == "biases only"
    assert "Do not trust the factor model here" in said
    assert "(biases only) recommends" in said
    assert space["own_model"].P.shape == (80, 0)
    with (space["saved"] / "own-for-me.csv").open(encoding="utf-8", newline="") as file:
        head, *rows = csv.reader(file)
    assert head == ["item", "predicted", "because"]
    mine = {f"i{i}" for i in items[users == 3]}
    assert not mine & {row[0] for row in rows}
    level = space["own_model"].item_bias
    names = space["own"].item_names.tolist()
    best = [level[names.index(row[0])] for row in rows]
    assert best == sorted(best, reverse=True)


@pytest.mark.parametrize(
    ("text", "said_why"),
    [
        ("a,x,3\na,y,4\nb,x,5\n", "at least 20 ratings; found: 3"),
        ("a,x,3\nb,x,4\n", "at least 20 ratings; found: 2"),
        ("a,x,3\n", "at least 20 ratings; found: 1"),
        ("a,x,3\na,y,3\nb,x,3\n", "at least 20 ratings; found: 3"),
        ("".join(f"u{k // 6},i{k % 6},4\n" for k in range(30)), "all ratings are equal"),
        ("".join(f"me,i{k},{k % 5}\n" for k in range(30)), "a single user or item"),
        ("".join(f"u{k},tea,{k % 5}\n" for k in range(30)), "a single user or item"),
    ],
)
def test_tables_that_say_little_get_a_sentence(yours, text, said_why):
    space, said = yours(text)
    assert said_why in " ".join(said.split())
    assert "nan" not in said.lower()
    assert np.isfinite(space["me_all"]).all()
    assert space["report"]["used"] != "factor model"


def test_what_i_would_rate_folds_me_in_and_the_reasons_are_my_ratings(yours):
    users, items, ratings, truth = table(150, 60, 3000, 2, noise=0.2)
    one = np.argsort(truth[7])  # a taste like that of user 7
    me = {f"i{i}": round(float(truth[7, i]), 2) for i in one[[0, 2, 4, -1, -3, -5]]}
    space, said = yours((users, items, ratings), me)
    assert space["report"]["used"] == "factor model"
    top = [int(space["own"].item_names[j][1:]) for j in space["me_order"][:5]]
    assert truth[7, top].mean() > truth[7].mean() + truth[7].std()
    assert "For you:" in said
    for line in said.splitlines():
        if "because you rated" in line:
            assert any(f"{name} (" in line for name in me)
    disliked = said.partition("Likely to be disliked")[2]
    assert "because you rated" in disliked
    again, *_, numbers = nb.load(space["saved"] / "own-model.npz")
    assert np.array_equal(again.Q, space["own_model"].Q)
    assert numbers["scale"] == pytest.approx(ratings.std())


@pytest.mark.parametrize(
    ("me", "message"),
    [
        ("anne", r"ME: expected a user of MY_RATINGS, got 'anne'; the closest are 'anna'"),
        ("zzz", r"user of MY_RATINGS, got 'zzz'; there are, for example, 'anna', 'bobby', 'bob'$"),
        ("Bob", r"got 'Bob'; the closest are 'bob', 'bobby'"),
        ({"Green Tea": 4}, r"got 'Green Tea'; the closest are 'Green tea \(2\)'"),
        ({"milk": 9}, r"ME\['milk'\]: expected finite numbers from 1.0 to 5.0, got 9"),
        ({"milk": "4"}, r"ME\['milk'\]: expected real numbers"),
        ({}, r"ME: expected a user or \{title: rating, ...\}, got \{\}"),
        (["milk"], r"ME: expected a user or"),
    ],
)
def test_an_unknown_person_or_title_is_answered_with_the_closest(yours, me, message):
    text = "anna,milk,1\nanna,Green tea (2),5\nbobby,milk,2\nbob,milk,4\nbob,coffee,3\n"
    with pytest.raises(ValueError, match=message):
        yours(text, me)


def test_where_nothing_tells_items_apart_none_is_said_to_be_disliked(yours):
    text = "".join(f"u{k // 20},i{k % 20},4\n" for k in range(399))
    space, said = yours(text, {"i3": 4})
    assert "because nothing tells items apart" in said
    assert "Likely to be disliked:\n  nothing" in said
    with pytest.raises(ValueError, match=r"^title: expected a factor model"):
        space["alike"]("i3")


def test_a_mean_that_says_more_than_my_ratings_is_named_first(yours):
    users, items, ratings, _ = table(150, 60, 3000, 2, noise=0.2, levels=1.5)
    space, _ = yours((users, items, ratings), {"i3": 0.0})
    assert space["report"]["used"] == "factor model"
    for item, text in zip(space["me_order"], space["because"](space["me_order"]), strict=True):
        given = space["me_given"], space["own_lam"], space["own_n0"]
        part = nb.reasons(space["own_model"], *given[0], [item], *given[1:])[0, 0]
        most = space["own_model"].item_bias[item] > max(part, 0)
        assert text.startswith("of its mean") == (most or part <= 0)


def test_a_user_may_be_named_by_a_number(yours):
    rows = (f"{u},i{i},{1 + (u * i) % 5}" for u in range(6) for i in range(6))
    space, said = yours("\n".join(rows), 3)
    assert "For user 3:" in said
    assert len(space["me_items"]) == 6
    assert "nothing: all that is known well enough is rated already" in said


def test_the_model_recommends_only_if_each_baseline_is_beaten_by_a_standard_error():
    model, one = np.ones(100), np.zeros(100)
    one[0] = 1000.0  # a mean gain of 10, all of it from one rating
    squares = {"surely": model + 0.5, "by chance": model + one}
    for beaten, used in ((squares, "surely"), ({"surely": squares["surely"]}, "factor model")):
        choice = {"rank": 1, "n0": 0.0, "lams": [0.1]}
        report = nb.reported({(1, 0.0): ([0.1], 1.0)}, choice, beaten, {"fixed": ([0.1], model)})
        assert report["used"] == used
        assert report["best baseline"] == "surely"
        assert report["gain"] == pytest.approx(0.5)


def test_a_dozen_pairs_rated_six_times_are_chosen_on_without_a_singular_matrix():
    users, items = np.tile([0, 1, 2, 2, 1, 0, 2], 6), np.tile([0, 1, 2, 0, 2, 3, 3], 6)
    ratings = np.tile([1.0, 2, 3, 4, 5, 1, 2], 6)
    report = nb.choose(users, items, ratings, (3, 4), 0)
    assert np.isfinite([c["rmse"] for c in report["candidates"]]).all()
    assert report["used"] == "factor model"  # each pair is in every training part


@pytest.mark.parametrize("path", ["no such file.csv", "README.md"])
def test_a_file_that_is_no_table_is_an_error_that_names_my_ratings(yours, monkeypatch, path):
    book = code_cells(load(NOTEBOOKS[3]))
    (cell,) = (source(c) for c in book if "def my_ratings" in source(c))
    space = {"load_ratings": load_ratings}
    exec(cell, space)
    with pytest.raises(ValueError, match=r"^MY_RATINGS: "):
        space["my_ratings"](path)


# Generated tables ------------------------------------------------------------------------------

SCALES = {"0 to 1": (0, 1), "1 to 5": (1, 5), "0 to 100": (0, 100), "-10 to 10": (-10, 10)}


def generated(n, m, rank, share, low, high, kind, seed):
    """Ratings of a generated table, and twenty thousand fresh ones of the same truth."""
    rng = np.random.default_rng(seed)
    truth = 0.4 * (rng.standard_normal((n, 1)) + rng.standard_normal(m))
    taste = rng.standard_normal((n, rank)) @ rng.standard_normal((m, rank)).T / np.sqrt(rank)
    if kind == "two groups":
        group = np.sign(rng.standard_normal((n, 1))) * np.sign(rng.standard_normal(m))
        taste = group + 0.3 * taste
    p = np.ones((n, m))
    if kind == "one dominant item":
        p[:, 0] = m
    count = max(40, int(share * n * m))
    seen = rng.choice(n * m, count, replace=False, p=(p / p.sum()).ravel())
    truth = truth + taste
    middle, unit = (low + high) / 2, (high - low) / 8

    def rated(where):
        users, items = np.divmod(where, m)
        noisy = truth[users, items] + 0.5 * rng.standard_normal(len(where))
        return users, items, np.clip(middle + unit * noisy, low, high)

    hidden = np.setdiff1d(np.arange(n * m), seen)
    return rated(seen), rated(rng.choice(hidden, min(20_000, len(hidden)), replace=False))


def held_out_errors(triples, shape, fresh, report):
    """Squared errors on fresh ratings of what was used, and of every baseline."""
    limits = triples[2].min(), triples[2].max()
    model, _, _ = nb.fit_choice(*triples, shape, report, np.random.default_rng(2))
    all_models = nb.baseline_models(*triples, shape, report["choice"]["shrink"])
    return [
        (each.predict(*fresh[:2], clip=limits) - fresh[2]) ** 2
        for each in (model, *all_models.values())
    ]


def never_worse(n, m, rank, share, scale, kind, seed=0):
    """Hold what *Yours* uses to the baselines, unless it says that it is one of them."""
    triples, fresh = generated(n, m, rank, share, *SCALES[scale], kind, seed)
    spread = triples[2].std()
    triples, fresh = ((u, i, r / spread) for u, i, r in (triples, fresh))
    report = nb.choose_or_say(triples, (n, m), np.random.default_rng(1))
    used, *others = held_out_errors(triples, (n, m), fresh, report)
    if report["used"] == "factor model":
        worse = used - min(others, key=np.mean)
        assert worse.mean() <= worse.std() / np.sqrt(len(worse))
    else:
        assert report["used"] in nb.baseline_models(*triples, (n, m))
    return report


@pytest.mark.parametrize("rank", [1, 4, 20])
@pytest.mark.parametrize("share", [0.05, 0.3])
def test_yours_is_never_worse_than_the_best_baseline_or_says_so(rank, share):
    report = never_worse(120, 80, rank, share, "1 to 5", "even")
    if share > 0.1 and rank < 5:
        assert report["used"] == "factor model"


@pytest.mark.parametrize("kind", ["one dominant item", "two groups"])
@pytest.mark.parametrize("scale", SCALES)
def test_yours_on_other_scales_and_kinds(scale, kind):
    report = never_worse(100, 60, 2, 0.2, scale, kind)
    if kind == "two groups":
        assert report["used"] == "factor model"


KINDS = ("even", "one dominant item", "two groups")


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.02, 0.1, 0.5])
@pytest.mark.parametrize("rank", [1, 2, 5, 20])
@pytest.mark.parametrize("n", [50, 200, 1000])
def test_yours_on_many_tables(n, rank, share):
    turn = [50, 200, 1000].index(n) + [1, 2, 5, 20].index(rank) + round(10 * share)
    never_worse(n, 60, rank, share, [*SCALES][turn % 4], KINDS[turn % 3], seed=n + rank)


@pytest.mark.slow
@pytest.mark.parametrize("rank", [1, 20])
@pytest.mark.parametrize("share", [0.02, 0.1])
def test_yours_on_thousands_of_users(rank, share):
    never_worse(5000, 200, rank, share, "1 to 5", "even")
