"""Colab: each notebook alone, on what is installed there."""

import ast
import asyncio
import json
import os
import re
import shutil
import sys
from pathlib import Path

import nbformat
import pytest
import yaml
from packaging.requirements import Requirement

from tools import execute, notebooks
from tools.project import PROJECT, ROOT

SHIPPED = [
    Requirement(line)
    for line in (ROOT / "tests" / "colab.txt").read_text(encoding="utf-8").splitlines()
    if not line.startswith("#")
]
COLAB_PYTHON = "3.13"
STAND_IN = "import sys, types\nsys.modules['google.colab'] = types.ModuleType('google.colab')\n"


@pytest.mark.colab
def test_on_colab_the_notebook_runs_to_its_end(path, tmp_path, fetching):
    """The notebook is the only file in its folder; Colab's module is there before it starts."""
    folder = tmp_path / "content"
    folder.mkdir()
    alone = Path(shutil.copy(path, folder))
    startup = tmp_path / "ipython" / "profile_default" / "startup" / "00-colab.py"
    startup.parent.mkdir(parents=True)
    startup.write_text(STAND_IN, encoding="utf-8")
    env = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"} | fetching
    env |= {"IPYTHONDIR": str(tmp_path / "ipython"), "TQDM_DISABLE": "1"}
    env.setdefault("ML_DATA_DIR", str(ROOT / "data"))
    book = notebooks.read(alone)
    book.cells.append(
        nbformat.v4.new_code_cell("import common.environment\nprint(common.environment.__file__)")
    )
    result = asyncio.run(execute.execute(alone, book, env, lambda: None))
    assert result.failures == []
    used = Path(result.notebook.cells[-1].outputs[0].text.strip())
    assert used == (folder / "ml-algorithms-from-scratch" / "common" / "environment.py").resolve()
    assert {p.name for p in folder.iterdir()} == {path.name, "ml-algorithms-from-scratch"}


def test_notebook_imports_only_what_colab_ships_and_installs_nothing(path):
    # What these bring along counts as shipped, and so does what only moves progress bars.
    brought = {
        "PIL",
        "cycler",
        "packaging",
        "IPython",
        "tqdm",
        "cloudpickle",
        "dask",
        "distributed",
    }
    shipped = {r.name for r in SHIPPED} | brought | {"common"}
    modules = [file.read_text(encoding="utf-8") for file in (ROOT / "common").glob("*.py")]
    cells = notebooks.code_cells(notebooks.load(path))
    for code in [*map(notebooks.source, cells), *modules]:
        assert not re.search(r"""^\s*[!%]|["']pip["']""", code, re.MULTILINE)
        for node in ast.walk(ast.parse(code)):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [node.module] if node.level == 0 else []
            found = {name.split(".")[0] for name in names}
            assert found <= shipped | set(sys.stdlib_module_names), found


def test_what_colab_ships_is_inside_the_ranges():
    ranges = {r.name: r.specifier for r in map(Requirement, PROJECT["dependencies"])}
    assert {"torch", "pandas", "numpy", "scipy", "matplotlib", "ipywidgets"} == {
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
