"""The recommender notebook's section on real ratings."""

import re

import numpy as np
import pytest
from recommender_cases import nb

from common.ratings import ratings
from tools.notebooks import load, source, tags
from tools.project import NOTEBOOKS


def real_section():
    """Return the section's cells, of any kind."""
    cells = load(NOTEBOOKS[3])["cells"]
    start = next(k for k, c in enumerate(cells) if source(c).startswith("## 13. Real ratings"))
    end = next(k for k in range(start + 1, len(cells)) if source(cells[k]).startswith("## "))
    return cells[start:end]


def run_real_section(path=None):
    """Execute it, but for what works on the synthetic table, with `path` as the reader's file."""
    namespace = dict(vars(nb)) | {"load_ratings": ratings, "MY_RATINGS": path}
    for cell in real_section():
        code = cell["cell_type"] == "code" and "algorithm" not in tags(cell)
        if code and "data.noise" not in source(cell):
            exec(compile(source(cell), "real", "exec"), namespace)
    return namespace


def test_the_section_says_whose_ratings_they_are_and_what_they_are_for():
    text = " ".join(source(c) for c in real_section() if c["cell_type"] == "markdown")
    for part in ("ml-latest-small", "licence", "README.txt", "development data set", "this run"):
        assert part in text
    everything = "".join(map(source, load(NOTEBOOKS[3])["cells"]))
    assert "MovieLens 100K" not in everything
    assert "ml-100k" not in everything


def test_real_ratings_beat_the_mean_and_are_never_missing(capsys):
    found = run_real_section()
    printed = capsys.readouterr().out
    assert "100,836 ratings from 0.5 to 5, 610 users × 9,724 items" in printed
    mean, error = map(float, re.search(r"mean ([\d.]+), this page ([\d.]+)", printed).groups())
    assert mean == pytest.approx(found["scale"], abs=0.01)
    assert error < 0.85 * mean
    recommended = {found["real"].item_names[j] for j in found["best"]}
    assert len(recommended) == 5
    assert printed.count("\n") < 40


def real_looking(rng, n, m, count):
    """Ratings from 1 to 5 of a low-rank truth with levels, unevenly spread, numbered from 1."""
    p = np.outer(rng.lognormal(0, 0.7, n), rng.lognormal(0, 0.7, m)).ravel()
    users, items = np.divmod(rng.choice(n * m, count, replace=False, p=p / p.sum()), m)
    truth = 3.5 + 0.5 * (rng.standard_normal((n, 1)) + rng.standard_normal(m))
    truth += 0.5 * rng.standard_normal((n, 2)) @ rng.standard_normal((m, 2)).T
    noisy = truth[users, items] + 0.5 * rng.standard_normal(count)
    return users + 1, items + 1, np.clip(np.round(noisy), 1, 5).astype(int)


@pytest.mark.parametrize("times", [1, 20])  # stars, or points from 20 to 100
def test_the_section_works_on_ratings_of_ones_own(tmp_path, capsys, times):
    rows = zip(*real_looking(np.random.default_rng(0), 90, 120, 3000), strict=True)
    lines = ["user,item,rating", *(f"user {u},film {i},{times * r}" for u, i, r in rows)]
    path = tmp_path / "own.csv"
    path.write_text("\n".join(lines), encoding="utf-8")
    found = run_real_section(str(path))
    printed = capsys.readouterr().out
    assert f"3,000 ratings from {times} to {5 * times}, 90 users" in printed
    error = float(re.search(r"this page ([\d.]+)", printed).group(1))
    assert error < 0.9 * found["scale"]
    real, best = found["real"], found["best"]
    assert not set(best) & set(real.items[real.users == found["user"]])
    assert len(best) == 5
    assert printed.count(" | film ") == 10


def test_the_section_works_on_a_handful_of_equal_ratings(tmp_path, capsys):
    path = tmp_path / "own.csv"
    path.write_text("ann,tea,4\nbob,tea,4\nann,milk,4\ncid,tea,4\n", encoding="utf-8")
    run_real_section(str(path))
    assert "4 ratings from 4 to 4, 3 users × 2 items" in capsys.readouterr().out
