"""The recommender notebook's section on real ratings."""

import hashlib
import json
import re
import zipfile
from types import SimpleNamespace

import numpy as np
import pytest
from recommender_cases import nb

from common.ratings import movielens_100k
from tools.project import NOTEBOOKS


def real_section():
    """Return the exempt cells of the notebook's section on real ratings."""
    cells = json.loads(NOTEBOOKS[3].read_text(encoding="utf-8"))["cells"]
    text = ["".join(cell["source"]) for cell in cells]
    start = next(k for k, source in enumerate(text) if source.startswith("## 13. Real ratings"))
    end = next(k for k in range(start + 1, len(text)) if text[k].startswith("## "))
    exempt = "nbval-ignore-output"
    return [c for c in cells[start:end] if exempt in c["metadata"].get("tags", [])]


def run_real_section(path=None):
    """Execute it as a program does, with `path` in place of the reader's own file."""

    def get_ipython():
        return SimpleNamespace(get_parent=lambda: {"content": {"allow_stdin": False}})

    namespace = dict(vars(nb)) | {"get_ipython": get_ipython, "movielens_100k": movielens_100k}
    for cell in real_section():
        code = "".join(cell["source"])
        if path:
            code = re.sub("^own = None", f"own = {str(path)!r}", code)
        exec(compile(code, "real", "exec"), namespace)
    return namespace


def test_nothing_of_real_ratings_is_stored():
    """MovieLens must not be passed on: refresh with ML_DATA_DIR at a folder without ml-100k.zip."""
    assert len(real_section()) == 4
    assert all(cell["outputs"] == [] for cell in real_section())


def test_without_real_ratings_their_section_says_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("ML_DATA_DIR", str(tmp_path))
    assert run_real_section()["real"] is None
    assert capsys.readouterr() == ("", "")


def real_looking(rng, n, m, count):
    """Ratings from 1 to 5 of a low-rank truth with levels, unevenly spread, as strings."""
    p = np.outer(rng.lognormal(0, 0.7, n), rng.lognormal(0, 0.7, m)).ravel()
    users, items = np.divmod(rng.choice(n * m, count, replace=False, p=p / p.sum()), m)
    truth = 3.5 + 0.5 * (rng.standard_normal((n, 1)) + rng.standard_normal(m))
    truth += 0.5 * rng.standard_normal((n, 2)) @ rng.standard_normal((m, 2)).T
    noisy = truth[users, items] + 0.5 * rng.standard_normal(count)
    return users + 1, items + 1, np.clip(np.round(noisy), 1, 5).astype(int)


@pytest.mark.parametrize("kind", ["own", "movielens"])
def test_the_real_section_works_on_ratings_that_look_real(tmp_path, monkeypatch, capsys, kind):
    rows = list(zip(*real_looking(np.random.default_rng(0), 90, 120, 3000), strict=True))
    path = tmp_path / "own.csv"
    if kind == "own":
        lines = ["user,item,rating", *(f"user {u},film {i},{r}" for u, i, r in rows)]
        path.write_text("\n".join(lines), encoding="utf-8")
    else:
        path, archive = None, tmp_path / "ml-100k.zip"
        with zipfile.ZipFile(archive, "w") as files:
            lines = [f"{u}\t{i}\t{r}\t881250949" for u, i, r in rows]
            files.writestr("ml-100k/u.data", "\n".join(lines))
            lines = [f"{i + 1}|film {i + 1}|||" for i in range(120)]
            files.writestr("ml-100k/u.item", "\n".join(lines))
        md5 = hashlib.md5(archive.read_bytes()).hexdigest()
        monkeypatch.setattr("common.ratings.MOVIELENS_MD5", md5)
        monkeypatch.setenv("ML_DATA_DIR", str(tmp_path))
    found = run_real_section(path)
    printed = capsys.readouterr().out
    assert "3,000 ratings from 1 to 5, 90 users" in printed
    # Surprise's figures are those of MovieLens alone.
    assert ("published by Surprise: SVD 0.934, SVD++ 0.919" in printed) == (kind == "movielens")
    quality = float(re.search(r"this page: RMSE ([\d.]+)", printed).group(1))
    assert quality < 0.9 * found["scale"]
    real, best = found["real"], found["best"]
    assert not set(best) & set(real.items[real.users == found["user"]])
    assert len(best) == 8
    assert printed.count(" | film ") == 18
