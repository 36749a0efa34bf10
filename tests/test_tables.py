"""Tables: in each kind every cell arrives whole, escaped and in its column."""

import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.tables import render

CELL = st.one_of(st.text(max_size=12), st.integers(), st.just(r"a\|b"), st.just("a\nb"))
TABLES = st.integers(1, 4).flatmap(
    lambda n: st.tuples(
        st.lists(st.text(max_size=6), min_size=n, max_size=n),
        st.lists(st.lists(CELL, min_size=n, max_size=n), max_size=4),
        st.text("lrc", max_size=n),
    )
)


def plain(row):
    return [" ".join(str(cell).split()) for cell in row]


class Cells(HTMLParser):
    """The texts in the cells of each row."""

    def __init__(self, text):
        super().__init__()
        self.rows = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_data(self, data):
        self.rows[-1][-1] += data


def pipes(line):
    """Split a line of a Markdown table where its unescaped pipes are, and unescape the others."""
    assert line[:2] + line[-2:] == "|  |"
    return [cell.replace(r"\|", "|") for cell in re.split(r" (?<!\\)\| ", line[2:-2])]


@given(TABLES)
def test_every_cell_arrives_in_html(table):
    head, rows, align = table
    text = render(head, rows, "html", align)
    assert Cells(text).rows == [plain(row) for row in (head, *rows)]
    assert text.count('<th scope="col"') == len(head)
    assert "\n" not in text  # a blank line would end the block where Markdown holds the table


@given(TABLES)
def test_every_cell_arrives_in_markdown(table):
    head, rows, align = table
    first, rule, *others = render(head, rows, "markdown", align).split("\n")
    assert [pipes(line) for line in (first, *others)] == [plain(row) for row in (head, *rows)]
    assert pipes(rule) == [
        {"l": "---", "r": "--:", "c": ":-:"}[a] for a in align.ljust(len(head), "l")
    ]


@given(TABLES)
def test_every_cell_stands_in_its_column_of_text(table):
    head, rows, align = table
    lines = render(head, rows, "text", align).split("\n")
    cells = [plain(row) for row in (head, *rows)]
    start = 0
    for j in range(len(head)):
        width = max(len(row[j]) for row in cells)
        for line, row in zip([lines[0], *lines[2:]], cells, strict=True):
            assert line[start : start + width].strip() == row[j]
        assert lines[1][start : start + width] == "-" * width
        start += width + 2
    assert all(line == line.rstrip() for line in lines)


def test_text_is_aligned_as_asked():
    rows = [("least squares", 1.5, "✓"), ("ridge", 12, "–")]
    assert render(("claim", "measured", "pass"), rows, "text", "lrc").split("\n") == [
        "claim          measured  pass",
        "-------------  --------  ----",
        "least squares       1.5   ✓",
        "ridge                12   –",
    ]


def test_html_escapes_and_aligns_numbers_right():
    text = render(("claim", "n"), [("a < b & c", 3)], "html", "lr")
    assert '<td style="text-align:left">a &lt; b &amp; c</td>' in text
    assert '<td style="text-align:right;white-space:nowrap">3</td>' in text
    assert text.startswith("<table><thead><tr>")


def test_markdown_escapes_pipes_and_keeps_emphasis():
    text = render(("what", "n"), [("|x| is *small*", 3)], "markdown", "lr")
    assert text == "| what | n |\n| --- | --: |\n| \\|x\\| is *small* | 3 |"


def test_a_pair_is_a_link_where_there_are_links():
    rows = [(("a & b", "a%20b.html?x=1&y=2"), 1)]
    assert '<a href="a%20b.html?x=1&amp;y=2">a &amp; b</a>' in render(("page", "n"), rows, "html")
    assert "[a & b](a%20b.html?x=1&y=2)" in render(("page", "n"), rows, "markdown")
    assert render(("page", "n"), rows, "text").endswith("a & b  1")


def test_rows_may_come_from_a_generator_or_not_at_all():
    assert render(["a"], (["x"] for _ in range(2)), "text") == "a\n-\nx\nx"
    assert render(["a"], [], "markdown") == "| a |\n| --- |"


@pytest.mark.parametrize("row", [["one"], ["one", "two", "three"]])
def test_a_row_of_another_length_is_refused(row):
    with pytest.raises(ValueError, match=rf"rows: expected 2 cells in each, got \[2, {len(row)}\]"):
        render(["a", "b"], [["one", "two"], row], "text")


def test_another_kind_is_refused():
    with pytest.raises(ValueError, match=r"kind: expected .*, got 'latex'"):
        render(["a"], [], "latex")
