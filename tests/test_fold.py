"""A cell is folded in all four ways at once, and unfolded without a trace."""

import re
import subprocess
import sys

import nbformat
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.fold import fold, main, title_of, unfold, ways
from tools.notebooks import load, read
from tools.project import NOTEBOOKS, ROOT


def cell(text="x = 1\ny = 2", **metadata):
    return {"cell_type": "code", "metadata": metadata, "source": text}


def test_the_four_ways():
    one = cell(tags=["preview"])
    fold(one, " Draw it ")
    assert one["source"] == "# @title Draw it\nx = 1\ny = 2"
    assert one["metadata"] == {
        "jupyter": {"source_hidden": True},
        "tags": ["preview", "hide-input"],
        "cellView": "form",
    }
    assert all(ways(one))
    assert title_of(one) == "Draw it"


@given(
    st.text("abc =#\n@"),
    st.text("abc #@", min_size=1).filter(str.strip),
    st.sampled_from([{}, {"tags": ["preview"]}, {"jupyter": {"outputs_hidden": True}}]),
)
def test_what_was_folded_is_unfolded_without_a_trace(text, title, metadata):
    if text.startswith("# @title "):
        return
    one = cell(text, **{key: value.copy() for key, value in metadata.items()})
    fold(one, title)
    fold(one, "again")
    assert title_of(one) == "again"
    unfold(one)
    assert one == cell(text, **metadata)
    assert title_of(one) == ""


@pytest.mark.parametrize("missing", range(4))
def test_a_cell_that_is_folded_in_part_has_no_title_and_is_mended(missing):
    one = cell()
    fold(one, "Draw it")
    if missing == 0:
        del one["metadata"]["jupyter"]
    elif missing == 1:
        del one["metadata"]["tags"]
    elif missing == 2:
        one["source"] = "x = 1\ny = 2"
    else:
        del one["metadata"]["cellView"]
    assert sum(ways(one)) == 3
    assert title_of(one) == ""
    fold(one, "Draw it")
    assert all(ways(one))
    assert one["source"].count("@title") == 1


def test_what_is_read_is_not_folded():
    with pytest.raises(ValueError, match="algorithms"):
        fold(cell(tags=["algorithm"]), "title")
    fast = cell(tags=["algorithm", "fast"])
    fold(fast, "The fast form")
    assert all(ways(fast))
    with pytest.raises(ValueError, match="got markdown"):
        fold({"cell_type": "markdown", "metadata": {}, "source": "text"}, "title")


@pytest.mark.parametrize("title", ["", " ", "two\nlines", "two\rlines"])
def test_a_title_is_a_line(title):
    one = cell()
    with pytest.raises(ValueError, match="title: expected a line of text"):
        fold(one, title)
    assert one == cell()


def test_the_command_changes_one_cell_of_the_file(tmp_path):
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(f"x = {i}") for i in "12"])
    file = tmp_path / "a b.ipynb"
    file.write_text(nbformat.writes(book) + "\n", encoding="utf-8")
    before = file.read_bytes()
    two = book.cells[1].id
    main(str(file), two, "Ümläut")
    assert [title_of(c) for c in load(file)["cells"]] == ["", "Ümläut"]
    main(str(file), two)
    assert file.read_bytes() == before
    with pytest.raises(ValueError, match=r"CELL_ID: expected .* got 'nobody'"):
        main(str(file), "nobody", "title")
    assert file.read_bytes() == before


def test_the_command_says_in_one_line_what_is_wrong():
    command = [sys.executable, "-m", "tools.fold"]
    for arguments, said in [
        ([], "usage: python -m tools.fold"),
        (["nowhere.ipynb", "a", "title"], "nowhere.ipynb"),
        ([str(NOTEBOOKS[0]), "nobody", "title"], "CELL_ID: expected"),
    ]:
        done = subprocess.run([*command, *arguments], cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 1
        assert said in done.stderr
        assert not re.search("Traceback", done.stderr)


def test_a_notebook_that_was_read_and_written_is_the_same(path):
    stored = path.read_text(encoding="utf-8")
    assert nbformat.writes(read(path)) + "\n" == stored
