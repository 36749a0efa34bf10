"""What every notebook must be: run top to bottom, small cells, reasons for exemptions, evidence."""

import copy
import itertools
import json
import re
import sys
import traceback

import nbformat
import pytest

from tools import notebooks
from tools.execute import execute_all, execute_section
from tools.fingerprint import fingerprint, imports
from tools.fold import ways
from tools.notebooks import code_cells, evidence, load, sections, source, tags
from tools.parameters import LINE, parameters
from tools.project import NOTEBOOKS
from tools.refresh import KERNELSPEC

REASON = "ignore_reason"
CODE_TAGS = {
    "algorithm",
    "fast",
    "parameters",
    "hide-input",
    "preview",
    "nbval-ignore-output",
}
TEXT_TAGS = {"yours", "craft"}
PARAMETERS = {
    "regression": {"MY_TABLE": "None", "MY_TARGET": "None"},
    "classification": {"DIGITS": "(1, 7)", "MY_DIGIT": "None"},
    "clustering": {"MY_PHOTO": "None", "K": "8"},
    "recommender-system": {"MY_RATINGS": "None", "ME": "None"},
}


@pytest.fixture
def code(notebook):
    return code_cells(notebook)


def outputs(cells, *kinds):
    return [o for cell in cells for o in cell["outputs"] if o["output_type"] in kinds]


def test_format_is_valid_and_neutral(path, notebook):
    nbformat.validate(nbformat.reads(json.dumps(notebook), as_version=4))
    assert notebook["metadata"]["kernelspec"] == KERNELSPEC
    assert notebook["metadata"]["language_info"] == {"name": "python"}
    ids = [cell["id"] for cell in notebook["cells"]]
    assert len(set(ids)) == len(ids)


def test_cells_were_run_from_top_to_bottom(code):
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))


def test_no_error_and_no_warning_is_stored(code):
    assert not outputs(code, "error")
    assert not [o for o in outputs(code, "stream") if o["name"] == "stderr"]


def test_outputs_belong_to_this_code(path, notebook):
    stored = notebook["metadata"]["fingerprint"]
    assert stored == fingerprint(notebook, path.parent), "something changed: run `make refresh`"


def test_cells_are_short(code):
    lengths = {source(c): sum(bool(line.strip()) for line in source(c).splitlines()) for c in code}
    long = [text for text, length in lengths.items() if length > 25]
    assert not long


def test_file_is_small(path):
    assert path.stat().st_size < 2_000_000


def test_only_known_tags_and_every_exemption_has_a_reason(notebook, code):
    for cell in notebook["cells"]:
        known = CODE_TAGS if cell["cell_type"] == "code" else TEXT_TAGS
        assert set(tags(cell)) <= known, source(cell)
        assert len(set(tags(cell))) == len(tags(cell)), source(cell)
    for cell in code:
        exempt = "nbval-ignore-output" in tags(cell)
        assert exempt == bool(cell["metadata"].get(REASON)), source(cell)


def test_first_code_cell_finds_common_or_fetches_the_repository(code):
    others = {source(code_cells(load(other))[0]) for other in NOTEBOOKS}
    assert others == {source(code[0])}
    assert "install" not in source(code[0])


# Folded cells and what a reader may set --------------------------------------------------------


def test_a_cell_is_folded_everywhere_or_nowhere(notebook):
    for cell in notebook["cells"]:
        assert len(set(ways(cell))) == 1, source(cell)


def test_setting_up_is_folded_and_an_algorithm_is_read(code):
    first_imports = next(c for c in code if "import matplotlib" in source(c))
    assert all(ways(code[0]))
    assert all(ways(first_imports))
    for cell in code:
        if "algorithm" in tags(cell):
            assert all(ways(cell)) == ("fast" in tags(cell)), source(cell)
        else:
            assert "fast" not in tags(cell), source(cell)


def test_what_a_reader_may_set_stands_near_the_top(path, notebook, code):
    (i,) = (i for i, cell in enumerate(code) if "parameters" in tags(cell))
    assert i <= 3
    assert not any(ways(code[i]))
    assert parameters(notebook) == PARAMETERS[path.parent.name]
    for line in source(code[i]).splitlines():
        found = LINE.fullmatch(line)
        assert found, "a line is NAME = value  # what it is"
        assert found[3], "a line is NAME = value  # what it is"


def test_a_parameter_that_names_the_reader_s_data_takes_the_verdict_from_findings(notebook, code):
    (made,) = (source(c) for c in code if "evidence = Evidence(" in source(c))
    (own,) = re.findall(r"own=(\w+) (?:is not|!=) ", made)
    assert own in parameters(notebook)


# Algorithms ------------------------------------------------------------------------------------


def test_algorithms_stand_alone_and_print_nothing(path, code, capsys):
    tagged = "\n".join(source(cell) for cell in code if "algorithm" in tags(cell))
    allowed = {"numpy", "scipy", "torch", *sys.stdlib_module_names}
    foreign = {name for name in imports(tagged) if name.split(".")[0] not in allowed}
    assert {name for name in foreign if not f"{name}.".startswith("common.checks.")} <= {"common"}
    notebooks.algorithms(path.parent.name)
    assert capsys.readouterr() == ("", "")


def test_a_traceback_shows_the_line_of_the_algorithm(path):
    module = notebooks.algorithms(path.parent.name)
    functions = (f for f in vars(module).values() if getattr(f, "__module__", "") == path.stem)
    function = next(f for f in functions if hasattr(f, "__code__"))
    file, line = function.__code__.co_filename, function.__code__.co_firstlineno
    (frame,) = traceback.StackSummary.from_list([(file, line, function.__name__, None)])
    assert frame.line.startswith(("def ", "@"))


# What came out ---------------------------------------------------------------------------------


def test_ends_with_an_evidence_table_that_holds(notebook, code):
    assert source(code[-1]) == "evidence.show()"
    table = evidence(notebook)
    assert len(table["rows"]) >= 8
    assert all(row["passed"] is True for row in table["rows"])
    assert len({row["claim"] for row in table["rows"]}) == len(table["rows"])


def test_stored_digits_are_real(path, notebook):
    if path.parent.name == "classification":
        assert evidence(notebook)["data"] == "real MNIST"


def test_every_picture_has_a_text_alternative(code):
    drawn = outputs(code, "display_data", "execute_result")
    pictures = [o for o in drawn if "image/png" in o["data"]]
    assert len(pictures) >= 4
    for picture in pictures:
        assert len(picture["metadata"]["image/png"]["alt"]) > 20
    for moving in ("".join(o["data"].get("text/html", "")) for o in drawn):
        assert len(re.findall(r'<img alt="[^"]{20,}"', moving)) == moving.count("<img")


def test_no_dead_widget_is_stored(code):
    for output in outputs(code, "display_data", "execute_result"):
        text = "".join(output["data"].get("text/plain", ""))
        assert not re.search(r"interactive\(|HBox\(|VBox\(|\d+%\|", text)


def test_headings_are_in_order(notebook):
    text = "\n".join(source(c) for c in notebook["cells"] if c["cell_type"] == "markdown")
    text = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    levels = [len(mark) for mark in re.findall(r"^(#+) ", text, flags=re.MULTILINE)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(b <= a + 1 for a, b in itertools.pairwise(levels))


def test_one_figure_is_the_preview(path, notebook):
    assert notebooks.preview(notebook) == (path.parent / "preview.png").read_bytes()


# Sections --------------------------------------------------------------------------------------


def test_what_a_section_needs_is_there(notebook):
    order = [cell["id"] for cell in notebook["cells"]]
    for cell in notebook["cells"]:
        if "needs" in cell["metadata"]:
            needs = cell["metadata"]["needs"]
            assert cell["id"] in {section.id for section in sections(notebook)}
            assert all(order.index(need) < order.index(cell["id"]) for need in needs)


@pytest.mark.slow
def test_a_section_runs_alone_after_the_cells_that_it_needs(path, notebook):
    declared = [section for section in sections(notebook) if section.needs is not None]
    if not declared:
        pytest.skip("no section of this notebook says what it needs")
    for section in declared:
        assert execute_section(path, section.id).error is None, section.title


def said(cell):
    """Return what a cell printed or gave, without its pictures."""
    given = [o for o in cell["outputs"] if o["output_type"] in ("stream", "execute_result")]
    return [o.get("text", o.get("data", {}).get("text/plain")) for o in given]


@pytest.mark.slow
def test_every_cell_can_be_run_once_more_after_the_last_and_says_the_same(path):
    notebook = notebooks.read(path)
    cells = code_cells(notebook)
    again = copy.deepcopy(cells)
    for cell in again:
        cell["id"] = f"{cell['id']}-again"
    notebook.cells = cells + again
    (result,) = execute_all({path: notebook})
    assert result.error is None
    for first, second in zip(cells, again, strict=True):
        if "nbval-ignore-output" not in tags(first):
            assert said(first) == said(second), source(first)
