"""What is in a notebook: its cells, its algorithms, its evidence, and what they depend on."""

import base64
import hashlib
import json
import sys
from pathlib import Path
from types import SimpleNamespace

from tools.project import NOTEBOOKS, ROOT


def load(path: Path) -> dict:
    """Read a notebook's JSON; sources and texts stay lists of lines."""
    return json.loads(path.read_text(encoding="utf-8"))


def source(cell: dict) -> str:
    """Return the text of a cell."""
    return "".join(cell["source"])


def tags(cell: dict) -> list[str]:
    """Return the tags of a cell."""
    return cell["metadata"].get("tags", [])


def algorithms(name: str) -> SimpleNamespace:
    """Execute the cells tagged `algorithm` of the notebook in folder `name`, and nothing else."""
    (path,) = (path for path in NOTEBOOKS if path.parent.name == name)
    cells = load(path)["cells"]
    module = SimpleNamespace(__name__=path.stem)
    sys.modules[path.stem] = module  # where dataclasses look up the module of a class
    for i, cell in enumerate(cells):
        if "algorithm" in tags(cell):
            exec(compile(source(cell), f"{path.name}[{i}]", "exec"), vars(module))
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


def fingerprint(notebook: dict) -> str:
    """Digest of all that decides on a notebook's outputs: its code, common/ and the versions."""
    parts = [source(c) for c in notebook["cells"] if c["cell_type"] == "code"]
    files = [*sorted((ROOT / "common").glob("*.py")), ROOT / "requirements.txt"]
    parts += [file.read_text(encoding="utf-8") for file in files]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def read(path: Path):
    """Read a notebook as nbformat's NotebookNode."""
    import nbformat

    return nbformat.read(path, as_version=4)
