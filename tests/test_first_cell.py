"""The first cell of a notebook finds its project, or says in one sentence how to get it."""

import os
import re
import subprocess
import sys

import pytest
from interpreters import python
from published import publish

from tools import fold
from tools.notebooks import code_cells, load, source
from tools.project import ADDRESS, NOTEBOOKS, PROJECT, ROOT
from tools.readme import release

AWAY = {"KAGGLE_KERNEL_RUN_TYPE", "PYTHONPATH", "GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"}
KAGGLE = {"KAGGLE_KERNEL_RUN_TYPE": "Interactive"}
COLAB = "import sys, types\nsys.modules['google.colab'] = types.ModuleType('google.colab')\n"
USED = "\nimport common.environment\nprint(common.environment.__file__)\n"


def first(notebook) -> dict:
    return code_cells(notebook)[0]


def start(folder, code: str, env=None, interpreter=sys.executable) -> subprocess.CompletedProcess:
    """Run code as a plain file, without Jupyter."""
    file = folder / "cell.py"
    file.write_text(code, encoding="utf-8")
    return subprocess.run(
        [interpreter, str(file)],
        cwd=folder,
        env={k: v for k, v in os.environ.items() if k not in AWAY} | (env or {}),
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )


@pytest.fixture(scope="module")
def code() -> str:
    return source(first(load(NOTEBOOKS[0])))


def test_all_notebooks_have_the_same_folded_first_cell(notebook, code):
    cell = first(notebook)
    assert source(cell) == code
    assert fold.title_of(cell).startswith("Set-up")
    assert len(code.splitlines()) <= 25
    assert cell["outputs"] == []
    assert ADDRESS in code


def test_it_names_the_release_that_it_belongs_to(notebook):
    assert release(notebook) in {"main", f"v{PROJECT['version']}"}


@pytest.mark.parametrize("version", ["3.8", "3.9", "3.10", None])
def test_opened_alone_a_notebook_says_how_to_get_its_project(tmp_path, code, version):
    done = start(tmp_path, code, interpreter=python(version) if version else sys.executable)
    assert done.returncode == 1
    said = done.stderr.splitlines()
    assert len(said) <= 4  # the traceback of one line, and what it says
    assert said[-1].startswith("FileNotFoundError: this notebook needs its project")
    assert f"git clone {ADDRESS}" in said[-1]
    assert f"{ADDRESS}/archive/main.zip" in said[-1] or "/archive/v" in said[-1]
    assert list(tmp_path.iterdir()) == [tmp_path / "cell.py"]


@pytest.mark.parametrize("version", ["3.8", "3.9", "3.10"])
def test_in_the_project_an_old_python_is_named(tmp_path, code, version):
    folder = tmp_path / "regression"
    folder.mkdir()
    (tmp_path / "common").mkdir()
    for name in ("common/__init__.py", "common/environment.py", "pyproject.toml"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    done = start(folder, code, interpreter=python(version))
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(f"RuntimeError: Python {version}.")
    assert "newer Python" in done.stderr


@pytest.mark.parametrize("place", ["", "deeper/and deeper/ü"])
def test_the_project_is_found_from_any_folder_in_it_and_beside_its_clone(tmp_path, code, place):
    clone = tmp_path / "ml-algorithms-from-scratch"
    (clone / "common").mkdir(parents=True)
    (clone / "common" / "environment.py").write_text("def warn():\n    print('found')\n")
    (clone / "common" / "__init__.py").touch()
    inside = clone / place
    inside.mkdir(parents=True, exist_ok=True)
    for folder in (inside, tmp_path):
        assert start(folder, code).stdout == "found\n"


def test_in_a_plain_ipython_it_says_the_same(tmp_path, code):
    (tmp_path / "cell.ipy").write_text(code, encoding="utf-8")
    command = [sys.executable, "-m", "IPython", "--colors=NoColor", "cell.ipy"]
    env = {k: v for k, v in os.environ.items() if k not in AWAY} | {"IPYTHONDIR": str(tmp_path)}
    done = subprocess.run(
        command, cwd=tmp_path, env=env, capture_output=True, encoding="utf-8", check=False
    )
    assert "FileNotFoundError: this notebook needs its project" in done.stdout + done.stderr


# fetching --------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["colab", "kaggle"])
def test_on_colab_and_kaggle_it_fetches_the_project_once(tmp_path, code, fetching, where):
    code = (COLAB if where == "colab" else "") + code + USED
    expected = (tmp_path / "ml-algorithms-from-scratch" / "common" / "environment.py").resolve()
    for _ in range(2):  # the second time finds what the first has fetched
        done = start(tmp_path, code, fetching | (KAGGLE if where == "kaggle" else {}))
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines()[-1] == str(expected)


@pytest.mark.parametrize(("named", "newer"), [("v9.9.9", False), ("main", True)])
def test_a_notebook_of_a_release_fetches_that_release(tmp_path, code, fetching, named, newer):
    """The repository has moved on since the tag."""
    code = re.sub('RELEASE = ".*?"', f'RELEASE = "{named}"', code)
    done = start(tmp_path, code, fetching | KAGGLE)
    assert done.returncode == 0, done.stderr
    clone = tmp_path / "ml-algorithms-from-scratch"
    assert (clone / "newer.txt").exists() == newer


def test_signing_and_hooks_of_the_user_do_not_stop_the_tests(tmp_path, monkeypatch):
    hook = tmp_path / "hooks" / "pre-commit"
    hook.parent.mkdir()
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    (tmp_path / "config").write_text(
        "[commit]\ngpgsign = true\n[tag]\ngpgsign = true\n[gpg]\nprogram = false\n"
        f'[core]\nhooksPath = "{hook.parent.as_posix()}"\n'
    )
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "config"))
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    (tmp_path / "new").mkdir()
    assert (publish(tmp_path / "new") / ".git").exists()


NOWHERE = {
    "GIT_CONFIG_COUNT": "1",
    "GIT_CONFIG_KEY_0": "url.file:///there/is/nothing.insteadOf",
    "GIT_CONFIG_VALUE_0": ADDRESS,
}


@pytest.mark.parametrize(
    ("env", "why"),
    [
        (NOWHERE, "fatal: "),  # git's own words
        ({"PATH": ""}, "No such file or directory: 'git'"),
    ],
    ids=["no network", "no git"],
)
@pytest.mark.parametrize("version", ["3.8", None])
@pytest.mark.skipif(os.name == "nt", reason="Windows finds git without PATH, or says it otherwise")
def test_what_cannot_be_fetched_says_why_and_what_else(tmp_path, code, env, why, version):
    interpreter = python(version) if version else sys.executable
    done = start(tmp_path, code, env | KAGGLE, interpreter)
    assert done.returncode == 1
    said = done.stderr[done.stderr.index("RuntimeError: ") :]
    assert said.startswith("RuntimeError: the project could not be fetched: ")
    assert why in said
    assert "on Kaggle, the internet is switched on in the notebook's settings" in said
    assert f"git clone {ADDRESS}" in said
    assert "During handling" not in done.stderr


def test_a_folder_in_the_way_is_left_alone_and_named(tmp_path, code, fetching):
    mine = tmp_path / "ml-algorithms-from-scratch" / "mine.txt"
    mine.parent.mkdir()
    mine.write_text("mine")
    done = start(tmp_path, code, fetching | KAGGLE)
    assert done.returncode == 1
    assert "already exists" in done.stderr
    assert mine.read_text() == "mine"
