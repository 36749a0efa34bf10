"""The project's layout, and what its files say of each other."""

import ast
import re

import pytest

from tools.project import ADDRESS, NOTEBOOKS, ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
ROOMS = ["common", "tools", "benchmarks"]


def lines_of_code(text: str) -> int:
    """Count the lines that are neither blank nor part of a docstring; comments count."""
    said = set()
    for node in ast.walk(ast.parse(text)):
        documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
        if isinstance(node, documented) and ast.get_docstring(node) is not None:
            said |= set(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    lines = enumerate(text.splitlines(), start=1)
    return sum(bool(line.strip()) and number not in said for number, line in lines)


def texts(room: str) -> dict[str, str]:
    return {p.name: p.read_text(encoding="utf-8") for p in sorted((ROOT / room).glob("*.py"))}


@pytest.mark.parametrize("room", ROOMS)
def test_every_file_is_read_in_a_few_minutes(room):
    lengths = {name: len(text.splitlines()) for name, text in texts(room).items()}
    assert lengths
    assert {name: n for name, n in lengths.items() if n > 250} == {}


def test_common_stays_thin():
    """What workers need came later, and has a limit of its own."""
    lines = {name: lines_of_code(text) for name, text in texts("common").items()}
    of_workers = ["cluster.py", "checkpoint.py", "states.py", "processes.py"]
    assert sum(map(lines.pop, of_workers)) <= 270
    assert sum(lines.values()) <= 750


def test_no_file_of_tests_is_a_book():
    lengths = {name: len(text.splitlines()) for name, text in texts("tests").items()}
    assert {name: n for name, n in lengths.items() if n > 500} == {}


@pytest.mark.parametrize("room", [*ROOMS, "tests"])
def test_every_module_says_what_it_is_for(room):
    for name, text in texts(room).items():
        assert ast.get_docstring(ast.parse(text)), name


def test_common_imports_no_tool_and_tools_no_test():
    for room, foreign in [("common", ["tools", "benchmarks"]), ("tools", ["benchmarks", "tests"])]:
        for name, text in texts(room).items():
            found = re.findall(r"^\s*(?:from|import) (\w+)", text, re.MULTILINE)
            assert not set(found) & set(foreign), name


def test_the_project_is_read_in_one_place():
    """Its root and address, pyproject.toml, and the folder of the data."""
    for room in ROOMS:
        for name, text in texts(room).items():
            if (room, name) != ("common", "environment.py"):
                code = re.sub('"""(?s:.*?)"""|#.*', "", text)
                # One tool writes the version into it.
                assert name == "release.py" or "pyproject.toml" not in code, name
                assert not re.search(r"__file__.*parents\[", text), name
                assert not re.search(r"(environ|getenv).{,20}ML_DATA_DIR", text), name
            assert ADDRESS not in text, name


def test_top_level_holds_what_the_layout_names():
    folders = {p.name for p in ROOT.iterdir() if p.is_dir() and p.name[0] != "."}
    folders = {name for name in folders if not name.endswith(".egg-info")}  # made by pip
    named = {path.parent.name for path in NOTEBOOKS} | {*ROOMS, "tests", "docs"}
    made = {"build", "data", "__pycache__"}  # by the commands; git ignores them
    assert folders - made == named
    assert (ROOT / "LICENSE").read_text(encoding="utf-8").startswith("MIT License")


def test_the_address_is_the_same_everywhere():
    owner = ADDRESS.removeprefix("https://github.com/")
    leading = [ROOT / "README.md", ROOT / "CITATION.cff", *NOTEBOOKS]
    rest = [*ROOT.glob("docs/*.md"), *ROOT.glob(".github/ISSUE_TEMPLATE/*")]
    for file in [*leading, ROOT / "CONTRIBUTING.md", *rest]:
        text = file.read_text(encoding="utf-8")
        found = re.findall(r"github(?:\.com)?/([\w-]+/[\w-]+?)(?=[/\"')\s\\.]|$)", text)
        assert set(found) <= {owner}, file
        assert owner in found or file not in leading, file


def test_pages_name_only_commands_that_exist():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, flags=re.MULTILINE))
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]
    named = set()
    for page in pages:
        text = page.read_text(encoding="utf-8")
        named |= set(re.findall(r"(?:`|^)make ([a-z-]+)", text, flags=re.MULTILINE))
    assert {"run", "test", "lab", "check", "clean"} <= named <= targets


def test_every_target_says_what_it_does():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.search(r"^\.PHONY: ((?:.|\\\n)*?)$(?<!\\)", makefile, re.MULTILINE)[1].split():
        if target != "\\":
            assert re.search(rf"^{target}:.*## \w", makefile, re.MULTILINE), target
