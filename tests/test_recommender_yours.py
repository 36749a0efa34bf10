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
