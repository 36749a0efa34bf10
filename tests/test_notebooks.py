"""What every notebook must be: run top to bottom, small cells, reasons for exemptions, evidence."""

import ast
import copy
import itertools
import json
import re

import nbformat
import pytest

from tools import execute, notebooks, pages, project
from tools.notebooks import evidence, fingerprint
from tools.project import NOTEBOOKS, ROOT

REASON = "ignore_reason"


@pytest.fixture
def code(notebook):
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def source(cell) -> str:
    return "".join(cell["source"])


def tags(cell) -> list[str]:
    return cell["metadata"].get("tags", [])


def outputs(cells, kind):
    return [o for cell in cells for o in cell["outputs"] if o["output_type"] == kind]


def test_format_is_valid_and_neutral(path, notebook):
    nbformat.validate(nbformat.reads(json.dumps(notebook), as_version=4))
    assert notebook["metadata"]["kernelspec"] == execute.KERNELSPEC
    assert notebook["metadata"]["language_info"] == {"name": "python"}
    ids = [cell["id"] for cell in notebook["cells"]]
    assert len(set(ids)) == len(ids)


def test_cells_were_run_from_top_to_bottom(code):
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))


def test_no_error_and_no_warning_is_stored(code):
    assert not outputs(code, "error")
    assert not [o for o in outputs(code, "stream") if o["name"] == "stderr"]


def test_outputs_belong_to_this_code(notebook):
    stored = notebook["metadata"]["fingerprint"]
    assert stored == fingerprint(notebook), "code or common/ changed: run `make refresh`"


def test_cells_are_short(code):
    lengths = {source(c): sum(bool(line.strip()) for line in source(c).splitlines()) for c in code}
    long = [text for text, length in lengths.items() if length > 25]
    assert not long


def test_file_is_small(path):
    assert path.stat().st_size < 2_000_000


def test_only_known_tags_and_every_exemption_has_a_reason(code):
    for cell in code:
        assert set(tags(cell)) <= {"algorithm", "nbval-ignore-output", "preview"}, source(cell)
        exempt = "nbval-ignore-output" in tags(cell)
        assert exempt == bool(cell["metadata"].get(REASON)), source(cell)


def test_first_code_cell_finds_common_or_fetches_the_repository(code):
    first = {source(c) for c in code[:1]}
    others = set()
    for other in NOTEBOOKS:
        cells = json.loads(other.read_text(encoding="utf-8"))["cells"]
        others.add(next(source(c) for c in cells if c["cell_type"] == "code"))
    assert first == others
    assert "install" not in first.pop()


def test_algorithms_stand_alone_and_print_nothing(path, code, capsys):
    tagged = "\n".join(source(cell) for cell in code if "algorithm" in tags(cell))
    imported = {
        name.split(".")[0]
        for node in ast.walk(ast.parse(tagged))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in (
            [node.module] if isinstance(node, ast.ImportFrom) else [a.name for a in node.names]
        )
    }
    assert not imported & {"common", "matplotlib", "sklearn"}
    notebooks.algorithms(path.parent.name)
    assert capsys.readouterr() == ("", "")


def test_ends_with_an_evidence_table_that_holds(notebook, code):
    assert source(code[-1]) == "evidence.show()"
    table = evidence(notebook)
    assert len(table["rows"]) >= 8
    assert all(row["passed"] for row in table["rows"])
    assert len({row["claim"] for row in table["rows"]}) == len(table["rows"])


def test_stored_digits_are_real(path, notebook):
    if path.parent.name == "classification":
        assert evidence(notebook)["data"] == "real MNIST"


def test_every_picture_has_a_text_alternative(code):
    pictures = [
        o
        for kind in ("display_data", "execute_result")
        for o in outputs(code, kind)
        if "image/png" in o["data"]
    ]
    assert len(pictures) >= 4
    for picture in pictures:
        assert len(picture["metadata"]["image/png"]["alt"]) > 20


def test_no_dead_widget_is_stored(code):
    for kind in ("display_data", "execute_result"):
        for output in outputs(code, kind):
            text = "".join(output["data"].get("text/plain", ""))
            assert not re.search(r"interactive\(|HBox\(|VBox\(|\d+%\|", text)


def test_headings_are_in_order(notebook):
    text = "\n".join(source(c) for c in notebook["cells"] if c["cell_type"] == "markdown")
    levels = [len(mark) for mark in re.findall(r"^(#+) ", text, flags=re.MULTILINE)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(b <= a + 1 for a, b in itertools.pairwise(levels))


def test_one_figure_is_the_preview(path, notebook):
    assert notebooks.preview(notebook) == (path.parent / "preview.png").read_bytes()


# The commands ----------------------------------------------------------------------------------

GOOD = """
import sys
sys.path.insert(0, {root!r})
from common.evidence import Evidence
evidence = Evidence("synthetic")
evidence.at_most("error", {measured}, 1)
"""


def little_notebook(folder, name, *cells):
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])
    table = {"evidence": {"data": "of an earlier run", "rows": []}}
    book.cells[-1].outputs = [nbformat.v4.new_output("display_data", metadata=table)]
    path = folder / name / f"{name}.ipynb"
    path.parent.mkdir()
    path.write_text(nbformat.writes(book), encoding="utf-8")
    return path


def test_what_fails_is_named(tmp_path):
    good = GOOD.format(root=str(ROOT), measured=0.5)
    bad = GOOD.format(root=str(ROOT), measured=1.5)
    paths = [
        little_notebook(tmp_path, "holds", good, "evidence.show()"),
        little_notebook(tmp_path, "fails", bad, "evidence.show()"),
        little_notebook(tmp_path, "breaks", good, "1 / 0", "evidence.show()"),
        little_notebook(tmp_path, "bare", "pass"),
    ]
    holds, fails, breaks, bare = execute.execute_all(paths)
    assert holds.failures == []
    assert "evidence: error" in fails.failures
    assert breaks.failures[0] == "ZeroDivisionError: division by zero"
    assert breaks.failures[1] == "no evidence table was reached"
    assert bare.failures == ["no evidence table was reached"]
    assert holds.seconds > 0


def test_the_page_needs_no_other_file():
    text = r"Let $x^2$ be in the line, and" "\n\n" r"$$\sum_{i=1}^n \frac{w_i}{2}$$"
    picture = nbformat.v4.new_output(
        "display_data", {"image/png": "iVBORw0="}, metadata={"image/png": {"alt": "a < b"}}
    )
    cells = [
        nbformat.v4.new_markdown_cell(text),
        nbformat.v4.new_code_cell("draw()", outputs=[picture]),
    ]
    page = pages.to_html(nbformat.v4.new_notebook(cells=cells), "title")
    assert re.search(r'<img\s+alt="a &lt; b"\s+src="data:image/png;base64,iVBORw0="', page)
    assert "<title>title</title>" in page
    assert page.count("<math") == 2
    assert not re.search(r"""(src|href)=["']?(https?:)?//""", page)


def test_refresh_without_a_change_keeps_what_may_vary_and_nothing_else(path):
    stored = notebooks.read(path)
    new = copy.deepcopy(stored)
    free = next(c for c in new.cells if "nbval-ignore-output" in c.metadata.get("tags", []))
    free.outputs = [nbformat.v4.new_output("stream", text="another time")]
    drawn = next(
        o for c in new.cells for o in c.get("outputs", []) if "image/png" in o.get("data", {})
    )
    drawn.data["image/png"] = "other pixels"
    new.metadata["language_info"]["version"] = "3.99"
    execute.normalise(new, stored)
    assert nbformat.writes(new) == nbformat.writes(stored)
    strict = next(c for c in new.cells if c.get("outputs") and not c.metadata.get("tags"))
    strict.outputs = []
    execute.normalise(new, stored)
    assert nbformat.writes(new) != nbformat.writes(stored)


def test_refresh_after_a_change_takes_the_new_outputs(path):
    stored = notebooks.read(path)
    new = copy.deepcopy(stored)
    next(c for c in new.cells if c.cell_type == "code").source += "\n"
    free = next(c for c in new.cells if "nbval-ignore-output" in c.metadata.get("tags", []))
    free.outputs = [nbformat.v4.new_output("stream", text="another time")]
    execute.normalise(new, stored)
    assert free.outputs[0].text == "another time"


def test_a_file_is_written_whole_or_not_at_all(tmp_path):
    target = tmp_path / "a" / "b.txt"
    project.write(target, "one\n")
    with pytest.raises(UnicodeEncodeError):
        project.write(target, "half \ud800")
    assert target.read_text() == "one\n"
