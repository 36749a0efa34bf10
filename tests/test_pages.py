"""The pages of `make run`: one file each, which needs no other, folded as the notebook is."""

import html
import re

import nbformat
import pytest

from common.tables import render
from tools import pages
from tools.fold import fold


def page(*cells):
    return pages.to_html(nbformat.v4.new_notebook(cells=list(cells)), "title")


def test_the_page_needs_no_other_file():
    text = r"Let $x^2$ be in the line, and" "\n\n" r"$$\sum_{i=1}^n \frac{w_i}{2}$$"
    picture = nbformat.v4.new_output(
        "display_data", {"image/png": "iVBORw0="}, metadata={"image/png": {"alt": "a < b"}}
    )
    made = page(
        nbformat.v4.new_markdown_cell(text),
        nbformat.v4.new_code_cell("draw()", outputs=[picture]),
    )
    assert re.search(r'<img\s+alt="a &lt; b"\s+src="data:image/png;base64,iVBORw0="', made)
    assert "<title>title</title>" in made
    assert made.count("<math") == 2
    assert not re.search(r"""(src|href)=["']?(https?:)?//""", made)


@pytest.mark.parametrize(
    "latex",
    [r"\frac", r"\left( x", "a_", "a_b_c", "{" * 20, r"a < b \frac", r"\begin{array}{c}\frac"],
)
def test_an_equation_that_cannot_be_read_stays_as_text(latex):
    made = page(nbformat.v4.new_markdown_cell(f"It is ${latex}$, not $x^2$.\n\n$$\n{latex}\n$$"))
    text = made.split("</style>")[-1]
    assert text.count(f"<code>{html.escape(latex)}</code>") == 1
    assert text.count("<code>") == 2
    assert text.count("<math") == 1


def test_a_folded_cell_is_folded_and_what_it_shows_is_not():
    shown = nbformat.v4.new_output("stream", text="what it says")
    folded = nbformat.v4.new_code_cell("hidden = 1", outputs=[shown])
    fold(folded, "Draw a < b")
    made = page(folded, nbformat.v4.new_code_cell("read = 2"))
    (inside,) = re.findall(r"<details class=.folded.>(.*?)</details>", made, re.DOTALL)
    assert inside.startswith("<summary>Draw a &lt; b</summary>")  # the keyboard reaches it
    assert "hidden" in inside
    assert "what it says" in made.replace(inside, "")
    assert "read" in made.replace(inside, "")
    assert "what it says" not in inside


def test_a_picture_in_the_prose_is_in_the_page():
    cell = nbformat.v4.new_markdown_cell("![a peak](attachment:seen.png)")
    cell.attachments = {"seen.png": {"image/png": "iVBORw0="}}
    made = page(cell)
    assert re.search(r'<img alt="a peak" src="data:image/png;base64,iVBORw0="', made)


def test_a_details_of_the_prose_stays():
    made = page(
        nbformat.v4.new_markdown_cell("<details><summary>Proof</summary>\n\n*x*\n</details>")
    )
    assert "<details><summary>Proof</summary>" in made
    assert "<em>x</em>" in made
    assert "folded" not in made.split("</style>")[-1]


def test_the_index_shows_the_table():
    table = render(["notebook"], [[("a & b", "a.html")]], "html")
    made = pages.index_page(table)
    assert '<a href="a.html">a &amp; b</a>' in made
    assert made.startswith("<!DOCTYPE html>")
    assert '<meta charset="utf-8">' in made
