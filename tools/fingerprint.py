"""A digest of what a notebook's outputs depend on, to tell whether the stored ones are stale."""

import ast
import hashlib
import io
import re
import tokenize
from pathlib import Path

from tools.notebooks import code_cells, source

# Where a distribution is not called as the package that it installs.
DISTRIBUTIONS = {"PIL": "pillow", "sklearn": "scikit-learn", "yaml": "pyyaml"}
RELEASE = re.compile(r'^RELEASE = ".*?"', re.MULTILINE)


def fingerprint(notebook: dict, folder: Path) -> str:
    """Digest what a notebook's outputs depend on, apart from the machine and its Python.

    That is the code of the notebook and of the modules of common/ that it imports, the pinned
    versions of the packages that these import, the data files beside the notebook, and what its
    figures look like. Comments, docstrings and formatting change no output, so they do not count.

    Parameters
    ----------
    notebook : dict
        What `load` or `read` gives.
    folder : Path
        Where the notebook lies. The project is the folder that holds this one.

    Returns
    -------
    str
        64 hexadecimal digits, the same on every system and version of Python.
    """
    root = folder.parent
    # A release changes only where a notebook that lies alone is fetched from.
    codes = [RELEASE.sub('RELEASE = ""', source(cell)) for cell in code_cells(notebook)]
    # A cell's first text is no docstring: the notebook shows it where the cell is nothing else.
    parts = [f"Module(body={shape(ast.parse(code).body)}) {is_quiet(code)}" for code in codes]
    imported = set().union(*(imports(code) for code in codes))
    waiting, modules = list(imported), {}
    while waiting:
        file = root.joinpath(*waiting.pop().split(".")).with_suffix(".py")
        if file.is_file() and file not in modules:
            code = file.read_text(encoding="utf-8")
            modules[file] = f"{file.stem} {shape(ast.parse(code))}"
            imported |= imports(code)
            waiting += imports(code)
    parts += [modules[file] for file in sorted(modules)]
    parts += pins(root, {name.split(".")[0] for name in imported})
    data = [file for file in sorted(folder.rglob("*")) if file.suffix in (".csv", ".npz", ".json")]
    data = [file for file in data if ".ipynb_checkpoints" not in file.parts]
    data += sorted(f for f in (root / "common").glob("*.*") if f.suffix in (".mplstyle", ".html"))
    parts += [
        f"{file.relative_to(root).as_posix()} {hashlib.sha256(file.read_bytes()).hexdigest()}"
        for file in data
    ]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def shape(node) -> str:
    """Return a syntax tree as text without docstrings; `ast.dump` differs between versions."""
    if isinstance(node, list):
        return f"[{' '.join(map(shape, node))}]"
    if not isinstance(node, ast.AST):
        return repr(node)
    fields = dict(ast.iter_fields(node))
    named = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    if isinstance(node, named) and ast.get_docstring(node, clean=False) is not None:
        fields["body"] = node.body[1:]
    # Newer versions have more fields, which are empty where an older one can read the code.
    kept = (f"{name}={shape(value)}" for name, value in fields.items() if value not in (None, []))
    return f"{type(node).__name__}({' '.join(kept)})"


def is_quiet(code: str) -> bool:
    """Whether a cell ends with a semicolon, for which Jupyter shows no value."""
    words = [word.string for word in tokenize.generate_tokens(io.StringIO(code).readline)]
    return [word for word in words if word.strip() and not word.startswith("#")][-1:] == [";"]


def imports(code: str) -> set[str]:
    """Return the modules that a piece of code imports, each with those that hold it."""
    found = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            # A name imported from a package may be a module.
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def pins(root: Path, packages: set[str]) -> list[str]:
    """Return the lines of requirements.txt that pin these packages, in order."""
    names = {DISTRIBUTIONS.get(name, name).lower().replace("_", "-") for name in packages}
    lines = (root / "requirements.txt").read_text(encoding="utf-8").splitlines()
    pinned = [line.partition("#")[0].strip() for line in lines]
    return sorted(line for line in pinned if line.partition("==")[0].lower() in names)
