"""The project's own files agree with each other."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

from tools.project import NOTEBOOKS, ROOT

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
ADDRESS = PYPROJECT["urls"]["Repository"]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def requirements(lines) -> dict[str, Requirement]:
    found = [Requirement(line) for line in lines]
    return {r.name: r for r in found}


def pinned() -> dict[str, Requirement]:
    text = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    return requirements(line for line in text.splitlines() if line and not line.startswith("#"))


def conda() -> dict[str, Requirement]:
    text = (ROOT / "environment.yml").read_text(encoding="utf-8")
    specs = [s.replace(" cpu*", "") for s in yaml.safe_load(text)["dependencies"]]
    specs = [s.replace("pytorch ", "torch ") for s in specs if not s.startswith("python=")]
    return requirements(specs)


def test_environment_and_pyproject_have_the_same_ranges():
    ranges = requirements(PYPROJECT["dependencies"])
    assert {n: r.specifier for n, r in conda().items()} == {
        n: r.specifier for n, r in ranges.items()
    }


def test_every_pin_is_exact_and_inside_its_range():
    tests = PYPROJECT["optional-dependencies"]["test"]  # what the README's two commands need
    ranges = requirements([*PYPROJECT["dependencies"], *tests])
    pins = pinned()
    assert set(pins) == set(ranges)
    for name, pin in pins.items():
        (specifier,) = pin.specifier
        assert specifier.operator == "=="
        assert specifier.version in ranges[name].specifier, name


def test_conda_gets_python_as_repo2docker_reads_it_and_torch_for_the_cpu():
    text = (ROOT / "environment.yml").read_text(encoding="utf-8")
    specs = yaml.safe_load(text)["dependencies"]
    assert "python=3.11" in specs
    assert PYPROJECT["requires-python"] == ">=3.11"
    assert [s for s in specs if s.startswith("pytorch ") and s.endswith(" cpu*")]


def test_every_dependency_says_what_it_is_for():
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    lines = re.findall(r'^    "[a-z0-9-]+>=.*$', text, flags=re.MULTILINE)
    assert len(lines) >= 10
    assert all("  # " in line for line in lines)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.parent.name)
def test_readme_opens_each_notebook_everywhere(path):
    name = path.relative_to(ROOT).as_posix()
    owner = ADDRESS.removeprefix("https://github.com/")
    for link in (
        f"https://colab.research.google.com/github/{owner}/blob/main/{name}",
        f"https://mybinder.org/v2/gh/{owner}/main?urlpath=lab/tree/{name}",
        f"https://nbviewer.org/github/{owner}/blob/main/{name}",
        f"({name})",
        f"{path.parent.name}/preview.png",
    ):
        assert link in README, link
    assert ADDRESS in path.read_text(encoding="utf-8")  # where Colab fetches it from


def test_the_address_is_the_same_everywhere():
    owner = ADDRESS.removeprefix("https://github.com/")
    files = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *NOTEBOOKS]
    for file in files:
        text = file.read_text(encoding="utf-8")
        found = re.findall(r"github(?:\.com)?/([\w-]+/[\w-]+?)(?=[/\"')\s\\.]|$)", text)
        assert set(found) <= {owner}, file


def test_links_of_the_readme_lead_to_files():
    for link in re.findall(r"\]\((?!https?:|#)([^)]+)\)", README):
        assert (ROOT / link).exists(), link


def test_readme_names_only_commands_that_exist():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, flags=re.MULTILINE))
    texts = README + (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`make ([a-z-]+)`", texts))
    assert {"run", "test", "lab", "refresh", "lint", "clean"} <= named <= targets


def test_workflow_pins_its_actions_by_commit():
    for file in (ROOT / ".github" / "workflows").glob("*.yml"):
        uses = re.findall(r"uses: (\S+)", file.read_text(encoding="utf-8"))
        assert uses
        for action in uses:
            assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", action), action


def test_top_level_holds_what_the_layout_names():
    folders = {p.name for p in ROOT.iterdir() if p.is_dir() and p.name[0] != "."}
    folders = {name for name in folders if not name.endswith(".egg-info")}  # made by pip
    named = {path.parent.name for path in NOTEBOOKS} | {"common", "tests", "docs"}
    made = {"build", "data", "__pycache__"}  # by the commands; git ignores them
    assert folders <= named | made
    assert Path(ROOT / "LICENSE").read_text(encoding="utf-8").startswith("MIT License")
