"""The state of a long run, kept in a file, so that a later call can go on from it."""

import os
import tempfile
from pathlib import Path

import numpy as np

from common.environment import ROOT


def put(path, write) -> None:
    """Write a file whole or not at all: it is moved to its place when it is complete.

    Parameters
    ----------
    path : str or path
        An earlier file there is replaced; missing folders are made.
    write : callable
        ``write(file)`` writes to a file that is open for bytes.

    Raises
    ------
    OSError
        If it cannot be written (a full disk, a folder without permission); it names the path.
    """
    folder = Path(path).absolute().parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".", dir=folder) as own:
            with (new := Path(own) / "new").open("wb") as file:
                write(file)
            os.replace(new, path)
    except OSError as error:
        raise OSError(f"{path}: the checkpoint could not be written: {error}") from error


class Checkpoint:
    """A run's state, in ``build/<notebook>/<name>.npz``, written whole or not at all.

    Beside the state the file holds what the run is about, its data and settings: a run goes on
    from a file of the same run alone, and replaces no other.
    """

    def __init__(self, notebook: str, name: str):
        self.path = ROOT / "build" / notebook / f"{name}.npz"

    def read(self, about: dict) -> dict | None:
        """Return what was kept, a number as a number; None if nothing was.

        Parameters
        ----------
        about : dict
            Numbers and arrays by name. The file may hold the beginning of an array, as of the
            learning rates of the epochs that were done.

        Raises
        ------
        ValueError
            If the file is no checkpoint, or one of another run; it says what differs.
        """
        if not os.path.lexists(self.path):
            return None
        way = f"remove {self.path}, or take another name"
        try:
            with self.path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
                found = {
                    name: value if value.ndim else value.item() for name, value in file.items()
                }
            kept = {name: found.pop(f"about {name}") for name in about}
        except Exception as error:  # whatever a file that is none of ours brings about
            text = f"checkpoint: expected what was kept here before, got {error!r:.80}: {way}"
            raise ValueError(text) from error
        differ = [name for name in about if not _begins(about[name], kept[name])]
        if differ:
            text = f"that differs in {', '.join(differ)}"
            raise ValueError(f"checkpoint: expected one of this run, got one {text}: {way}")
        return found

    def keep(self, about: dict, state: dict) -> None:
        """Write the state, numbers and arrays by name, in place of what was kept before."""
        about = {f"about {name}": value for name, value in about.items()}
        put(self.path, lambda file: np.savez(file, **about, **state))

    def drop(self) -> None:
        """Remove the file: the run is done."""
        self.path.unlink(missing_ok=True)


def _begins(whole, part) -> bool:
    whole, part = np.asarray(whole), np.asarray(part)
    return np.array_equal(whole[: len(part)] if whole.ndim and part.ndim else whole, part)
