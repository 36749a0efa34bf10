"""Notebooks are executed, written where they belong, and what fails is named."""

import copy
import os
import subprocess
import sys

import nbformat
import pytest

from tools import execute, notebooks, project, refresh
from tools.notebooks import alone, sections, tags
from tools.project import ROOT

GOOD = """
import sys
sys.path.insert(0, {root!r})
from common.evidence import Evidence
evidence = Evidence("synthetic", own={own})
evidence.{kind}("error", {measured}, 1)
evidence.truth("holds", True)
"""


def good(measured, kind="truth", own=False):
    return GOOD.format(root=str(ROOT), measured=measured, kind=kind, own=own)


def little_notebook(folder, name, *cells):
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])
    table = {"evidence": {"data": "of an earlier run", "rows": []}}
    book.cells[-1].outputs = [nbformat.v4.new_output("display_data", metadata=table)]
    return folder / f"{name}.ipynb", book


def test_what_fails_is_named(tmp_path):
    books = [
        little_notebook(tmp_path, "holds", good(0.5), "evidence.show()"),
        little_notebook(tmp_path, "fails", good(1.5), "evidence.show()"),
        little_notebook(tmp_path, "breaks", good(0.5), "1 / 0", "evidence.show()"),
        little_notebook(tmp_path, "bare", "pass"),
        little_notebook(tmp_path, "own", good(1.5, "finding", own=True), "evidence.show()"),
        little_notebook(tmp_path, "bug", good(1.5, "truth", own=True), "evidence.show()"),
    ]
    books[0][1].cells.insert(0, nbformat.v4.new_markdown_cell("Text takes no time."))
    holds, fails, breaks, bare, own, bug = execute.execute_all(dict(books))
    assert holds.failures == []
    assert fails.failures[-1] == "evidence: error"
    assert breaks.failures == ["ZeroDivisionError: division by zero"]
    assert bare.failures == ["no evidence table was reached"]
    assert own.failures == []
    assert bug.failures[-1] == "evidence: error"
    assert holds.seconds > 0
    assert len(holds.times) == 2
    assert 0 < sum(holds.times.values()) < holds.seconds
    assert all(seconds > 0 for seconds in breaks.times.values())


# Refreshing ------------------------------------------------------------------------------------


@pytest.fixture
def stored(path):
    """A notebook as a refresh leaves it, whatever is in the checkout now."""
    book = notebooks.read(path)
    refresh.normalise(book, copy.deepcopy(book), path.parent, seconds=41.6)
    return book


def test_refresh_without_a_change_keeps_what_may_vary_and_nothing_else(path, stored):
    assert stored.metadata["seconds"] >= 1
    new = copy.deepcopy(stored)
    free = next(c for c in new.cells if "nbval-ignore-output" in tags(c))
    free.outputs = [nbformat.v4.new_output("stream", text="another time")]
    drawn = [o for c in new.cells for o in c.get("outputs", []) if "image/png" in o.get("data", {})]
    drawn[0].data["image/png"] = "other pixels"
    new.metadata["language_info"]["version"] = "3.99"
    refresh.normalise(new, stored, path.parent, seconds=99)
    assert nbformat.writes(new) == nbformat.writes(stored)
    strict = next(c for c in new.cells if c.get("outputs") and "nbval-ignore-output" not in tags(c))
    strict.outputs = []
    refresh.normalise(new, stored, path.parent, seconds=99)
    assert nbformat.writes(new) != nbformat.writes(stored)


def test_refresh_keeps_moving_pictures_and_no_other_html(path, stored):
    def html(text):
        return nbformat.v4.new_output("display_data", {"text/html": text, "text/plain": "shown"})

    code = (c for c in stored.cells if c.cell_type == "code")
    cell = next(c for c in code if "nbval-ignore-output" not in tags(c))
    cell.outputs = [html('<img src="data:image/png;base64,AAAA">'), html("<table>1</table>")]
    new = copy.deepcopy(stored)
    drawn = next(c for c in new.cells if c.id == cell.id)
    drawn.outputs = [html('<img src="data:image/png;base64,BBBB">'), html("<table>2</table>")]
    refresh.normalise(new, stored, path.parent, seconds=1)
    assert [o.data["text/html"] for o in drawn.outputs] == [
        '<img src="data:image/png;base64,AAAA">',
        "<table>2</table>",
    ]


def test_refresh_after_a_change_takes_the_new_outputs(path, stored):
    new = copy.deepcopy(stored)
    next(c for c in new.cells if c.cell_type == "code").source += "\nx = 1"
    free = next(c for c in new.cells if "nbval-ignore-output" in tags(c))
    free.outputs = [nbformat.v4.new_output("stream", text="another time")]
    refresh.normalise(new, stored, path.parent, seconds=0.2)
    assert free.outputs[0].text == "another time"
    assert new.metadata["seconds"] == 1


def test_a_comment_makes_no_output_stale(path, stored):
    new = copy.deepcopy(stored)
    next(c for c in new.cells if c.cell_type == "code").source += "\n# a comment"
    free = next(c for c in new.cells if "nbval-ignore-output" in tags(c))
    before = copy.deepcopy(free.outputs)
    free.outputs = []
    refresh.normalise(new, stored, path.parent, seconds=1)
    assert free.outputs == before


OPENING = "![seen](attachment:preview.png)\n\n<!-- parts:start -->\n<!-- parts:end -->"
DRAW = """from IPython.display import display
display({"image/png": "iVBORw0="}, raw=True)"""


def test_a_second_refresh_changes_no_byte_and_what_fails_is_left_alone(
    tmp_path, monkeypatch, capsys
):
    (tmp_path / "requirements.txt").touch()
    paths = []
    for name, measured in (("holds", 0.5), ("fails", 1.5)):
        path, book = little_notebook(tmp_path / name, name, good(measured), DRAW, "evidence.show()")
        book.cells[1].metadata["tags"] = ["preview"]
        book.cells.append(nbformat.v4.new_markdown_cell(OPENING))
        book.cells[-1].attachments = {"preview.png": {"image/png": "b2xk"}}
        project.write(path, nbformat.writes(book) + "\n")
        paths.append(path)
    before = paths[1].read_bytes()
    renewed = []
    for name, value in {"NOTEBOOKS": paths, "ROOT": tmp_path}.items():
        monkeypatch.setattr(refresh, name, value)
    monkeypatch.setattr(refresh.readme, "renew", lambda: renewed.append(True))
    said = []
    for _ in range(2):
        assert refresh.refresh() == 1
        out, error = capsys.readouterr()
        said.append(out)
        assert "FAILED fails/fails.ipynb: left as it was: " in error
        assert paths[1].read_bytes() == before
        assert not (tmp_path / "fails" / "preview.png").exists()
        said.append(paths[0].read_bytes())
    assert said[0] == "holds/holds.ipynb: refreshed\n"
    assert said[2] == "holds/holds.ipynb: unchanged\n"
    assert said[1] == said[3]
    assert (tmp_path / "holds" / "preview.png").read_bytes() == b"\x89PNG\r"
    opening = notebooks.load(paths[0])["cells"][-1]
    assert opening["attachments"] == {"preview.png": {"image/png": "iVBORw0="}}
    assert "| Main path | 5 min | 1 s |\n<!-- parts:end -->" in "".join(opening["source"])
    assert renewed == [True, True]


# Sections --------------------------------------------------------------------------------------

PAGE = [
    (
        "markdown",
        "title",
        "# Title\n\n```python\n## no heading\n```\n~~~~\n## none\n~~~\n## nor here\n~~~~\n",
    ),
    ("code", "setup", "seen = ['setup']"),
    ("markdown", "data", "## Data"),
    ("code", "load", "seen.append('load')\nx = 1"),
    ("markdown", "clean", "### Cleaned\nwith care"),
    ("code", "scrub", "seen.append('scrub')"),
    ("markdown", "fit", "We have it.\n\n## Fit"),
    ("code", "solve", "seen.append('solve')\ny = x + 1"),
    ("code", "draw", "seen.append('draw')"),
    ("markdown", "craft", "## Craft"),
    ("code", "fast", "seen.append('fast')\nassert y == 2\nprint(*seen)"),
]


def page(**needs):
    make = {"markdown": nbformat.v4.new_markdown_cell, "code": nbformat.v4.new_code_cell}
    cells = [make[kind](text, id=id) for kind, id, text in PAGE]
    for cell in cells:
        if cell.id in needs:
            cell.metadata["needs"] = needs[cell.id]
    return nbformat.v4.new_notebook(cells=cells)


def test_a_section_ends_before_the_next_of_its_level():
    found = {s.id: (s.level, s.title, s.cells, s.needs) for s in sections(page(clean=[]))}
    assert found == {
        "data": (2, "Data", ("data", "load", "clean", "scrub"), None),
        "clean": (3, "Cleaned", ("clean", "scrub"), ()),
        "fit": (2, "Fit", ("fit", "solve", "draw"), None),
        "craft": (2, "Craft", ("craft", "fast"), None),
    }


@pytest.mark.parametrize(
    ("needs", "heading", "kept"),
    [
        ({}, "craft", "craft fast"),
        ({"craft": ["solve"]}, "craft", "solve craft fast"),
        ({"craft": ["fit"]}, "craft", "fit solve draw craft fast"),
        ({"craft": ["fit"], "fit": ["load"]}, "craft", "load fit solve draw craft fast"),
        ({"craft": ["solve"], "fit": ["load"]}, "craft", "solve craft fast"),
        ({"craft": ["data"]}, "craft", "data load clean scrub craft fast"),
        ({"clean": ["load"]}, "clean", "load clean scrub"),
        ({"clean": ["clean", "data"]}, "clean", "data load clean scrub"),
    ],
)
def test_what_is_needed_comes_along_in_its_order(needs, heading, kept):
    book = page(**needs)
    assert [c.id for c in alone(book, heading).cells] == ["title", "setup", *kept.split()]
    assert len(book.cells) == len(PAGE)


def test_a_heading_behind_code_counts_and_one_in_code_without_an_end_does_not():
    for text, titles in [
        ("~~~\n## in\n~~~\n## out", ["out"]),
        ("It is `a` and ``` b ```.\n\n## out", ["out"]),
        ("````\n```\n## in\n```\n````\n## out", ["out"]),
        ("```\n## in\n~~~\n## in", []),
    ]:
        cell = nbformat.v4.new_markdown_cell(text)
        book = nbformat.v4.new_notebook(cells=[cell])
        assert [section.title for section in sections(book)] == titles


def test_an_unknown_section_or_cell_is_named():
    with pytest.raises(ValueError, match=r"heading: expected .* got 'solve'"):
        alone(page(), "solve")
    with pytest.raises(ValueError, match=r"needs: expected .* got 'nothing'"):
        alone(page(craft=["nothing"]), "craft")


def test_a_section_is_executed_after_what_it_needs(tmp_path):
    file = tmp_path / "page.ipynb"
    for needs, error, printed in [
        (["load", "solve"], None, "setup load solve fast\n"),
        (["solve"], "NameError: name 'x' is not defined", None),
    ]:
        file.write_text(nbformat.writes(page(craft=needs)), encoding="utf-8")
        result = execute.execute_section(file, "craft")
        assert result.error == error
        if printed:
            assert result.notebook.cells[-1].outputs[0].text == printed


# Files and consoles ----------------------------------------------------------------------------


def test_a_file_is_written_whole_or_not_at_all(tmp_path):
    target = tmp_path / "a" / "b.txt"
    project.write(target, "one\n")
    with pytest.raises(UnicodeEncodeError):
        project.write(target, "half \ud800")
    assert target.read_bytes() == b"one\n"
    assert [f.name for f in target.parent.iterdir()] == ["b.txt"]


@pytest.mark.parametrize("encoding", ["cp1252", "ascii"])
def test_a_console_without_greek_letters_survives(encoding):
    code = "import sys; from tools.project import *; survive_any_console(); print('λ ✓ é')"
    env = os.environ | {"PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
    command = [sys.executable, "-c", f"{code}; print('≤', file=sys.stderr)"]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(b"? ? ")
    assert done.stderr.strip() == b"?"


@pytest.mark.parametrize("arguments", [[], ["walk"], ["refresh", "K=3"]])
def test_what_is_no_command_shows_how_they_are_used(arguments):
    command = [sys.executable, "-m", "tools.execute", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("Execute copies of the notebooks.")
