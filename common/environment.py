"""Where the project and its data lie, and whether this machine has what the notebooks need."""

import os
import shutil
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
GB = 1e9
# The notebooks run without these two, on Colab for instance: they open and re-execute them.
NOT_IMPORTED = frozenset({"jupyterlab", "nbval"})


def settings() -> dict:
    """Return the table `project` of pyproject.toml, empty where somebody took common/ alone."""
    try:
        text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    return tomllib.loads(text)["project"]


def data_folder() -> Path:
    """Return the folder that holds the reader's data: ``$ML_DATA_DIR``, or ``data/`` here."""
    return ROOT / Path(os.environ.get("ML_DATA_DIR") or "data").expanduser()


def check() -> bool:
    """Print what was found: a line for each dependency, for MNIST, for free disk and memory.

    Returns
    -------
    bool
        Whether all is there, in versions that were tested.
    """
    lines = [*_found(), (True, _mnist())]
    for good, text in lines:
        print("[OK]  " if good else "[FAIL]", text)
    return all(good for good, _ in lines)


def warn() -> None:
    """Print only what is wrong for a notebook that is running; nothing if all is well."""
    for good, text in _found(without=NOT_IMPORTED):
        if not good:
            print("[FAIL]", text)


def _found(without: frozenset[str] = frozenset()) -> list[tuple[bool, str]]:
    project = settings()
    lines = [_dependency("Python", sys.version.split()[0], project.get("requires-python", ""))]
    for requirement in project.get("dependencies", []):
        name = requirement[: requirement.index(">")]
        if name not in without:
            lines.append(_dependency(name, _installed(name), requirement.removeprefix(name)))
    return [*lines, _free("disk", shutil.disk_usage(ROOT).free), _free("memory", _free_memory())]


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _dependency(name: str, found: str | None, tested: str) -> tuple[bool, str]:
    if found is None:
        return False, f"{name} is not installed; tested with {tested}"
    try:
        from packaging.specifiers import SpecifierSet
    except ModuleNotFoundError:  # comes with matplotlib and with jupyterlab
        return False, f"{name} {found}; cannot be compared with {tested} without packaging"
    return SpecifierSet(tested).contains(
        found, prereleases=True
    ), f"{name} {found}; tested {tested}"


def _free_memory() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:  # macOS and Windows have no such file, and Python no function for it
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if "MemAvailable" in line), None)


def _free(what: str, free: int | None) -> tuple[bool, str]:
    if free is None:
        return True, f"free {what}: this system does not say; 1 GB is enough"
    return free >= GB, f"free {what}: {free / GB:.1f} GB; 1 GB is enough"


def _mnist() -> str:
    raw = data_folder() / "MNIST" / "raw"
    found = len(list(raw.glob("*-ubyte")))
    if found >= 4:
        return f"MNIST: in {raw}"
    return f"MNIST: not in {raw}; will be downloaded, or drawn digits take its place"


if __name__ == "__main__":
    sys.exit(not check())
