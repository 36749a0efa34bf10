"""Where the project and its data lie, and whether a notebook finds here what it needs.

The first cell of each notebook imports this module before anything else. It therefore needs no
package, and runs on Python 3.8 too, to say that a newer one is needed.
"""

import os
import re
import shutil
import sys
from importlib.metadata import distributions
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def settings() -> dict:
    """Return the table `project` of pyproject.toml, empty where somebody took common/ alone.

    Before Python 3.11, which cannot read the file, it has only the line `requires-python`; so too
    where the file is broken.
    """
    text = _read(ROOT / "pyproject.toml")
    try:
        import tomllib

        return tomllib.loads(text).get("project", {})
    except (ModuleNotFoundError, ValueError):
        return dict(re.findall(r'^(requires-python) = "(.*)"', text, re.MULTILINE))


def data_folders() -> list:
    """Return the folders that hold data: ``$ML_DATA_DIR`` where it is set, then ``data/`` here.

    ``~`` is the home folder, and a relative path begins at the project, wherever Python runs.
    """
    return [ROOT / os.path.expanduser(f) for f in (os.environ.get("ML_DATA_DIR"), "data") if f]


def warn() -> None:
    """Print what is wrong for a notebook that is running; nothing if all is well.

    JupyterLab and nbval are not missed: a notebook on Colab, for instance, runs without them; the
    section that needs Dask says so itself.

    Raises
    ------
    RuntimeError
        If this Python is too old to go on.
    """
    for right, text in findings():
        if not right and text.startswith("Python"):
            raise RuntimeError(f"{text}. Open the notebook with a newer Python.")
        if not right and not text.startswith(("jupyterlab", "nbval", "dask", "distributed")):
            print("[FAIL]", text)


def findings(disk: float = 2e8) -> list:
    """Return (whether it is right, what was found) for Python, each dependency, disk and memory.

    A Python that is too old stands alone: nothing else can be right then. `disk` is how many bytes
    must be free; a running notebook fetches MNIST and writes a few pictures.
    """
    project = settings()
    found = [_tested("Python", sys.version.split()[0], project.get("requires-python", ""))]
    if not found[0][0]:
        return found
    if _read(ROOT / "pyproject.toml") and "name" not in project:
        found.append((False, "pyproject.toml is broken: `git checkout pyproject.toml` mends it"))
    for requirement in project.get("dependencies", []):
        name, tested = re.fullmatch(r"([\w-]+)(.*)", requirement).groups()
        there = next((str(d.version) for d in distributions(name=name)), "not installed")
        found.append(_tested(name, there, tested))
    there = shutil.disk_usage(ROOT).free
    for what, free, least in [("disk", there, disk), ("memory", memory(), 1e9)]:
        if free is not None:
            text = f"free {what}: {free / 1e9:.1f} GB; {least / 1e9:.1f} GB are enough"
            found.append((free >= least, text))
    return found


def memory(root: Path = Path("/")):
    """Return the free memory in bytes, or None: macOS and Windows do not say.

    A container, or a job on a cluster, may have less than its machine: its control groups
    (version 2 or 1) say how much, from its own up to the outermost. What they keep of files that
    were read counts as free: it is given back when it is needed. `root` holds proc/ and sys/.
    """
    free = [1024 * int(kB) for kB in re.findall(r"Available: *(\d+)", _read(root / "proc/meminfo"))]
    own = re.findall(r"^\d+:(?:memory)?:/(.*)", _read(root / "proc/self/cgroup"), re.MULTILINE)
    for path in ["", *own, *(f"memory/{group}" for group in ["", *own])]:
        inner = root / "sys/fs/cgroup" / path
        for folder in (inner, *inner.parents):
            limit = _read(folder / "memory.max") or _read(folder / "memory.limit_in_bytes")
            used = _read(folder / "memory.current") or _read(folder / "memory.usage_in_bytes")
            kept = re.findall(r"inactive_file (\d+)", _read(folder / "memory.stat"))[-1:]
            if limit.strip().isdigit() and used:  # without a limit it says "max"
                free.append(int(limit) - int(used) + sum(map(int, kept)))
    return min(free, default=None)


def _tested(name: str, found: str, tested: str) -> tuple:
    """Compare versions by three numbers (0 where none is installed); ranges have only >= and <."""

    def numbers(text):
        return ([int(part) for part in re.findall(r"\d+", text)] + [0, 0])[:3]

    bounds = re.findall(r"(<|>=)([\d.]+)", tested)
    right = [(numbers(found) < numbers(bound)) == (sign == "<") for sign, bound in bounds]
    return all(right), f"{name} {found}; tested {tested}"


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except OSError:
        return ""
