"""Checkpoints of trainings in PyTorch: files of tensors, lists and dicts, to go on from."""

import warnings
from pathlib import Path

import torch

from common.checkpoint import put


def save(file, state) -> None:
    """Write a state whole or not at all: it is moved to its place when it is complete.

    Parameters
    ----------
    file : str or path
        An earlier checkpoint there is replaced; missing folders are made.
    state : dict
        Tensors, numbers, texts, None, and lists and dicts of these.

    Raises
    ------
    OSError
        If it cannot be written (a full disk, a folder without permission); it names the file.
    """
    put(file, lambda new: torch.save(state, new))


def load(file):
    """Return the state in a file, or None where there is no such file; no code of it is run.

    Raises
    ------
    ValueError
        If the file is no checkpoint, or a damaged one.
    """
    if not Path(file).exists():
        return None
    try:
        with warnings.catch_warnings(action="ignore"):  # of foreign files; an error says it all
            state = torch.load(file, map_location="cpu", weights_only=True)
        if isinstance(state, dict):
            return state
        why = type(state).__name__
    except Exception as error:  # whatever stands in there
        why = f"{type(error).__name__}: {error!s:.60}"
    raise ValueError(f"file: expected a checkpoint in {file}, got {why}: move it away")
