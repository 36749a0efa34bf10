"""Fold a cell that sets up, checks or draws, in every place where a notebook is read.

usage: python -m tools.fold NOTEBOOK CELL_ID "title"    fold the cell, under this title
       python -m tools.fold NOTEBOOK CELL_ID            unfold it
"""

import sys
from pathlib import Path

from tools.notebooks import read, source, tags
from tools.project import write

MARK = "# @title "  # Colab shows what follows in place of the code
TAG = "hide-input"  # read by the website


def title_of(cell: dict) -> str:
    """Return the title of a folded cell, and an empty text for any other."""
    return source(cell).partition("\n")[0].removeprefix(MARK) if all(ways(cell)) else ""


def ways(cell: dict) -> tuple[bool, bool, bool, bool]:
    """Whether a cell is folded in JupyterLab and VS Code, on the website, and (two) in Colab."""
    metadata = cell["metadata"]
    return (
        metadata.get("jupyter", {}).get("source_hidden") is True,
        TAG in tags(cell),
        source(cell).startswith(MARK),
        metadata.get("cellView") == "form",
    )


def fold(cell: dict, title: str) -> None:
    """Fold a cell in all four ways; one that is folded gets the new title.

    Raises
    ------
    ValueError
        If the cell holds no code or an algorithm that is not tagged `fast`, or if the title is
        not one line of text.
    """
    if cell["cell_type"] != "code":
        raise ValueError(f"cell: expected a cell with code, got {cell['cell_type']}")
    if "algorithm" in tags(cell) and "fast" not in tags(cell):
        raise ValueError("cell: expected none of the algorithms, which are read, unless it is fast")
    if not title.strip() or len(title.splitlines()) > 1:
        raise ValueError(f"title: expected a line of text, got {title!r}")
    unfold(cell)
    cell["source"] = f"{MARK}{title.strip()}\n{source(cell)}"
    cell["metadata"].setdefault("jupyter", {})["source_hidden"] = True
    cell["metadata"]["tags"] = [*tags(cell), TAG]
    cell["metadata"]["cellView"] = "form"


def unfold(cell: dict) -> None:
    """Take away whatever folds a cell; its code stays."""
    first, _, rest = source(cell).partition("\n")
    if first.startswith(MARK):
        cell["source"] = rest
    metadata = cell["metadata"]
    metadata.pop("cellView", None)
    metadata.get("jupyter", {}).pop("source_hidden", None)
    metadata["tags"] = [tag for tag in tags(cell) if tag != TAG]
    for name in ("jupyter", "tags"):
        if not metadata.get(name):
            metadata.pop(name, None)


def main(name: str, id: str, title: str | None = None) -> None:
    """Fold or unfold one cell of a file; ValueError if the notebook has no such cell."""
    import nbformat

    notebook = read(Path(name))
    cell = next((cell for cell in notebook.cells if cell.get("id") == id), None)
    if cell is None:
        raise ValueError(f"CELL_ID: expected the id of a cell of {name}, got {id!r}")
    unfold(cell) if title is None else fold(cell, title)
    write(Path(name), nbformat.writes(notebook) + "\n")


if __name__ == "__main__":
    if not 3 <= len(sys.argv) <= 4:
        sys.exit(__doc__)
    try:
        main(*sys.argv[1:])
    except (OSError, ValueError) as error:
        sys.exit(str(error))
