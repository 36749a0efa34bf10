"""Say what is missing here, or there in a version that was not tested.

usage: python -m tools.check    a line for each thing; exit status 1 where one is wrong

Runs on the Python that is there, without any package: it is what one asks before an installation,
and what a report of a problem should contain.
"""

import os
import platform
import shutil
import sys
from pathlib import Path

from common.environment import ROOT, data_folders, findings

# What an installation takes in bytes, as measured; with CUDA it is only estimated.
INSTALLED, WITH_CUDA = 1.7e9, 7e9


def disk() -> float:
    """Return how many bytes must be free: for what is still to be installed, and to run."""
    if (ROOT / ".venv" / "ready").exists():
        return 2e8
    return 2e8 + (WITH_CUDA if shutil.which("nvidia-smi") else INSTALLED)


def mnist() -> str:
    """Return a line on where the digits come from."""
    for folder in data_folders():
        raw = folder / "MNIST" / "raw"
        if len([*raw.glob("*-ubyte"), *raw.glob("*-ubyte.gz")]) >= 4:
            return f"MNIST: in {raw}"
    return f"MNIST: not in {raw}; will be downloaded, or drawn digits take its place"


def fonts() -> tuple:
    """Return whether matplotlib can keep its list of fonts, and a line that says where."""
    usual = Path(os.path.expanduser("~"), ".matplotlib")
    if sys.platform == "linux":
        usual = Path(os.environ.get("XDG_CACHE_HOME") or usual.with_name(".cache"), "matplotlib")
    folder = Path(os.environ.get("MPLCONFIGDIR") or usual)
    there = next(place for place in [folder, *folder.absolute().parents] if place.exists())
    if there.is_dir() and os.access(there, os.W_OK):
        return True, f"matplotlib's list of fonts: in {folder}"
    return False, f"matplotlib cannot write its list of fonts into {folder}"


def main() -> int:
    """Print all lines; return the exit status."""
    found = findings(disk())
    lines = [(True, f"{platform.platform()}, {sys.executable}"), *found]
    if len(found) > 1:  # else this Python is too old, and nothing else can be right
        lines += [fonts(), (True, mnist())]
    for right, text in lines:
        print("[OK]  " if right else "[FAIL]", text)
    if any("not installed" in text for _, text in found):
        print("`make run` or `make test` installs what is not installed, into .venv.")
    return int(not all(right for right, _ in lines))


if __name__ == "__main__":
    sys.exit(main())
