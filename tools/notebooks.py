"""What is in a notebook: its cells, algorithms, evidence and sections."""

import base64
import copy
import json
import linecache
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

from tools.project import NOTEBOOKS

# Code within prose: a fence of backticks or tildes, up to one that is as long, or to the end.
FENCED = re.compile(r"^ {0,3}(`{3,}|~{3,}).*?(^ {0,3}\1|\Z)", re.DOTALL | re.MULTILINE)


def load(path: Path) -> dict:
    """Read a notebook's JSON; sources and texts stay lists of lines."""
    return json.loads(path.read_text(encoding="utf-8"))


def read(path: Path):
    """Read a notebook as nbformat's NotebookNode."""
    import nbformat

    return nbformat.read(path, as_version=4)


def source(cell: dict) -> str:
    """Return the text of a cell."""
    return "".join(cell["source"])


def tags(cell: dict) -> list[str]:
    """Return the tags of a cell."""
    return cell["metadata"].get("tags", [])


def code_cells(notebook: dict) -> list[dict]:
    """Return the cells that hold code."""
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def algorithms(name: str) -> SimpleNamespace:
    """Execute the cells tagged `algorithm` of the notebook in folder `name`, and nothing else."""
    (path,) = (path for path in NOTEBOOKS if path.parent.name == name)
    module = SimpleNamespace(__name__=path.stem)
    sys.modules[path.stem] = module  # where dataclasses look up the module of a class
    for i, cell in enumerate(load(path)["cells"]):
        if "algorithm" in tags(cell):
            code, file = source(cell), f"{path.name}[{i}]"
            # Where a traceback looks for the lines it shows; no file on disk has this name.
            linecache.cache[file] = (len(code), None, code.splitlines(keepends=True), file)
            exec(compile(code, file, "exec"), vars(module))
    return module


def evidence(notebook: dict) -> dict | None:
    """Return the evidence ("data" and "rows") in an executed notebook, None where there is none."""
    found = None
    for cell in notebook["cells"]:
        for output in cell.get("outputs", []):
            found = output.get("metadata", {}).get("evidence", found)
    return found


def preview(notebook: dict) -> bytes:
    """Return the PNG drawn by the cell tagged `preview`, which stands for the notebook."""
    (cell,) = (c for c in notebook["cells"] if "preview" in tags(c))
    (picture,) = (o for o in cell["outputs"] if "image/png" in o.get("data", {}))
    return base64.b64decode(picture["data"]["image/png"])


# Sections --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Section:
    """A heading's cell and what follows, up to the next heading of its level or above."""

    id: str  # of the heading's cell
    level: int
    title: str
    cells: tuple[str, ...]  # the ids of all its cells, the heading's first
    needs: tuple[str, ...] | None  # ids of cells; a heading's stands for its section


def sections(notebook: dict) -> Iterator[Section]:
    """Yield the sections of a notebook below its title, in order; subsections are yielded too."""
    cells = notebook["cells"]
    ids = [cell["id"] for cell in cells]
    starts = []
    for i, cell in enumerate(cells):
        if cell["cell_type"] == "markdown":
            text = FENCED.sub("", source(cell))
            found = re.findall(r"^(##+) +(.+)$", text, re.MULTILINE)
            if found:
                mark, title = min(found, key=lambda heading: len(heading[0]))
                starts.append((i, len(mark), title))
    for i, level, title in starts:
        end = next((j for j, other, _ in starts if j > i and other <= level), len(cells))
        needs = cells[i]["metadata"].get("needs")
        yield Section(
            ids[i], level, title, tuple(ids[i:end]), None if needs is None else tuple(needs)
        )


def alone(notebook: dict, heading: str) -> dict:
    """Return a copy with one section, what it needs, and what precedes every section.

    Parameters
    ----------
    notebook : dict
        What `load` or `read` gives.
    heading : str
        The id of the cell with the section's heading.

    Returns
    -------
    dict
        The notebook with those cells in their order. What a needed section needs is there too.

    Raises
    ------
    ValueError
        If there is no such section, or one needs a cell that does not exist.
    """
    known = {section.id: section for section in sections(notebook)}
    ids = [cell["id"] for cell in notebook["cells"]]
    if heading not in known:
        raise ValueError(f"heading: expected the id of a heading's cell, got {heading!r}")
    first = min(ids.index(id) for id in known)
    wanted, waiting = set(ids[:first]), [heading]
    while waiting:
        id = waiting.pop()
        if id not in ids:
            raise ValueError(f"needs: expected ids of this notebook's cells, got {id!r}")
        if id not in wanted:
            wanted.add(id)
            if id in known:
                waiting += [*known[id].cells, *(known[id].needs or ())]
    part = copy.copy(notebook)
    part["cells"] = [cell for cell in notebook["cells"] if cell["id"] in wanted]
    return part
