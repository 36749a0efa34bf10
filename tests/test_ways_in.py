"""Colab and Binder: each notebook alone, on what is installed there."""

import ast
import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import nbformat
import pytest
import yaml
from packaging.requirements import Requirement

from tools import execute, notebooks
from tools.project import NOTEBOOKS, ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
ADDRESS = PROJECT["urls"]["Repository"]
SHIPPED = [
    Requirement(line)
    for line in (ROOT / "tests" / "colab.txt").read_text(encoding="utf-8").splitlines()
    if not line.startswith("#")
]
COLAB_PYTHON = "3.13"
STAND_IN = "import sys, types\nsys.modules['google.colab'] = types.ModuleType('google.colab')\n"


def code_of(path) -> list[str]:
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return ["".join(c["source"]) for c in cells if c["cell_type"] == "code"]


def git(*arguments, cwd) -> str:
    who = ["-c", "user.name=test", "-c", "user.email=test@example.org", "-c", "core.autocrlf=false"]
    command = ["git", *who, *arguments]
    return subprocess.run(command, cwd=cwd, check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="session")
def published(tmp_path_factory):
    """A repository with the files of this checkout as they are now, committed or not."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    copy = tmp_path_factory.mktemp("published") / "repository"
    for name in git("ls-files", "-z", "-co", "--exclude-standard", cwd=ROOT).split("\0"):
        if name and (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, copy / name)
    git("init", "--quiet", cwd=copy)
    git("add", "--all", "--force", cwd=copy)
    git("commit", "--quiet", "--no-verify", "--message", "as it is now", cwd=copy)
    return copy


@pytest.fixture
def env(published):
    """The environment of a machine on which the project's address leads to `published`."""
    return {key: value for key, value in os.environ.items() if key != "PYTHONPATH"} | {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.{published.as_uri()}.insteadOf",
        "GIT_CONFIG_VALUE_0": ADDRESS,
        "ML_DATA_DIR": os.environ.get("ML_DATA_DIR", str(ROOT / "data")),
    }


def test_on_colab_the_first_cell_fetches_the_repository(tmp_path, env):
    """From an empty folder. All notebooks have the same first cell, so one stands for them."""
    script = STAND_IN + code_of(NOTEBOOKS[0])[0]
    script += "\nimport common.environment\nprint(common.environment.__file__)\n"
    for _ in range(2):  # a second run finds what the first has fetched
        command = [sys.executable, "-c", script]
        run = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True)
        assert run.returncode == 0, run.stderr
        assert Path(run.stdout.strip()).is_relative_to(tmp_path.resolve())


@pytest.mark.colab
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.parent.name)
def test_on_colab_the_notebook_runs_to_its_end(path, tmp_path, env):
    """The notebook is the only file in its folder; Colab's module is there before it starts."""
    folder = tmp_path / "content"
    folder.mkdir()
    alone = Path(shutil.copy(path, folder))
    startup = tmp_path / "ipython" / "profile_default" / "startup" / "00-colab.py"
    startup.parent.mkdir(parents=True)
    startup.write_text(STAND_IN, encoding="utf-8")
    env |= {"IPYTHONDIR": str(tmp_path / "ipython"), "TQDM_DISABLE": "1"}
    book = notebooks.read(alone)
    book.cells.append(
        nbformat.v4.new_code_cell("import common.environment\nprint(common.environment.__file__)")
    )
    result = asyncio.run(execute.execute(alone, book, env, lambda: None))
    assert result.failures == []
    used = Path(result.notebook.cells[-1].outputs[0].text.strip())
    assert used == (folder / "ml-algorithms-from-scratch" / "common" / "environment.py").resolve()
    assert {p.name for p in folder.iterdir()} == {path.name, "ml-algorithms-from-scratch"}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.parent.name)
def test_notebook_imports_only_what_colab_ships_and_installs_nothing(path):
    # What these bring along counts as shipped, and so does what only moves progress bars.
    brought = {"PIL", "cycler", "packaging", "IPython", "tqdm"}
    shipped = {r.name for r in SHIPPED} | brought | {"common"}
    modules = [file.read_text(encoding="utf-8") for file in (ROOT / "common").glob("*.py")]
    for code in [*code_of(path), *modules]:
        assert not re.search(r"""^\s*[!%]|["']pip["']""", code, re.MULTILINE)
        for node in ast.walk(ast.parse(code)):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [node.module] if node.level == 0 else []
            found = {name.split(".")[0] for name in names}
            assert found <= shipped | set(sys.stdlib_module_names), found


def test_what_colab_ships_is_inside_the_ranges():
    ranges = {r.name: r.specifier for r in map(Requirement, PROJECT["dependencies"])}
    assert {"torch", "torchvision", "numpy", "scipy", "matplotlib", "ipywidgets"} == {
        r.name for r in SHIPPED
    }
    for r in SHIPPED:
        (shipped,) = r.specifier
        for patch in ("0", "99"):  # the first and any later release of that version
            assert shipped.version.replace("*", patch) in ranges[r.name], r.name
    (least,) = PROJECT["requires-python"].split(">=")[1:]
    assert tuple(map(int, COLAB_PYTHON.split("."))) >= tuple(map(int, least.split(".")))


def test_one_ci_job_runs_on_what_colab_ships():
    text = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    job = yaml.safe_load(text)["jobs"]["colab"]
    steps = json.dumps(job["steps"])
    assert "tests/colab.txt" in steps
    assert f'"python-version": "{COLAB_PYTHON}"' in steps
    assert "-m colab" in steps


@pytest.mark.lab
def test_binder_builds_with_conda_and_the_python_that_is_tested(monkeypatch):
    buildpacks = pytest.importorskip("repo2docker.buildpacks", reason="`make test-lab` installs it")
    app = pytest.importorskip("repo2docker.app")
    monkeypatch.chdir(ROOT)
    base = app.Repo2Docker().base_image
    chosen = next(
        pack for pack in (make(base) for make in app.Repo2Docker().buildpacks) if pack.detect()
    )
    assert type(chosen) is buildpacks.CondaBuildPack
    assert chosen.python_version == "3.11"
