"""The recommender notebook as a page: every name and every cell once more."""

import ast

from tools.notebooks import code_cells, load, source
from tools.project import NOTEBOOKS
from tools.readme import parts
from tools.spread import binds

(NOTEBOOK,) = (path for path in NOTEBOOKS if path.parent.name == "recommender-system")


def test_no_name_is_bound_in_two_cells():
    places = {}
    for cell in code_cells(load(NOTEBOOK)):
        bound = set()
        for part in ast.parse(source(cell)).body:
            loops = [node.target for node in ast.walk(part) if isinstance(node, ast.For)]
            names = [node for loop in loops for node in ast.walk(loop)]
            bound |= binds(part) - {node.id for node in names if isinstance(node, ast.Name)}
        for name in bound - {"fig", "ax"}:
            places.setdefault(name, []).append(cell["id"])
    twice = {name: ids for name, ids in places.items() if len(ids) > 1}
    assert {name for name in twice if not name.startswith("_")} == set()


def test_the_main_path_is_short():
    cells = parts(load(NOTEBOOK))[0][1]
    open_cells = [c for c in code_cells({"cells": cells}) if not c["metadata"].get("jupyter")]
    assert sum(sum(map(bool, source(c).split("\n"))) for c in open_cells) <= 220
    words = " ".join(source(c) for c in cells if c["cell_type"] == "markdown")
    assert (
        len(words.partition("<details>")[0].split() + words.split("</details>")[-1].split()) <= 2500
    )
