"""Digits: MNIST, or ones and sevens drawn by a program where MNIST cannot be had."""

import hashlib
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np

from common.environment import data_folder
from common.synthetic import stroke_digits

TIMEOUT = 10  # seconds without a byte before a download is given up

# MD5 of the four files of MNIST (Y. LeCun, C. Cortes, C. Burges), uncompressed, computed from
# archives that pass the checksums in torchvision.datasets.MNIST.
MNIST_MD5 = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}


class Digits(NamedTuple):
    """Images (n, 28, 28) uint8 with white ink (255) on black, and labels (n,) int64."""

    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray
    source: str  # "mnist" or "strokes"
    note: str  # one line that says which digits these are, and why


def mnist_pair(digits: tuple[int, int] = (1, 7), source: str = "auto") -> Digits:
    """Load two digits of MNIST, or the embedded stroke digits where MNIST cannot be had.

    The files are looked for in ``$ML_DATA_DIR``, or in ``data/`` beside the notebooks' folders,
    laid out as `torchvision.datasets.MNIST` lays them out. Where they are complete no network is
    touched; otherwise they are downloaded, checked, and moved into place whole.

    Parameters
    ----------
    digits : tuple of two int
        Which digits to keep, 0 to 9, different; only (1, 7) has a stand-in.
    source : {"auto", "mnist", "strokes"}
        "mnist" insists on MNIST, "strokes" on the stand-in, "auto" takes MNIST if it can be had.

    Returns
    -------
    Digits
        Training and test images (n, 28, 28) uint8, labels (n,) int64 holding the two digits.

    Raises
    ------
    ValueError
        If `digits` or `source` is not one of the above.
    RuntimeError
        If MNIST was asked for by name and cannot be had; names the folder and how to fill it.

    Notes
    -----
    MNIST: Y. LeCun, C. Cortes, C. J. C. Burges, "The MNIST database of handwritten digits",
    CC BY-SA 3.0.
    """
    pair = isinstance(digits, tuple | list | np.ndarray) and len(digits) == 2
    if (
        not pair
        or not all(isinstance(d, int | np.integer) and 0 <= d <= 9 for d in digits)
        or digits[0] == digits[1]
    ):
        raise ValueError(f"digits: expected two different integers from 0 to 9, got {digits!r}")
    if source not in ("auto", "mnist", "strokes"):
        raise ValueError(f'source: expected "auto", "mnist" or "strokes", got {source!r}')
    drawable = set(digits) == {1, 7}
    if source == "strokes" and not drawable:
        raise ValueError(f"digits: the stroke digits are ones and sevens only, got {digits!r}")
    if source != "strokes":
        folder = data_folder()
        try:
            return _read_mnist(folder, digits)
        except (OSError, RuntimeError) as error:  # no network, time-out, full or read-only disk
            reason = _in_a_line(error)
            if source == "mnist" or not drawable:
                raise RuntimeError(
                    f"MNIST is not in {folder} and could not be downloaded ({reason}). Put its "
                    f"four files, uncompressed, into {folder / 'MNIST' / 'raw'}, or set "
                    "ML_DATA_DIR to a folder that holds MNIST/raw, or connect to the network."
                ) from error
    note = "Digits: embedded pen strokes, drawn here"
    if source == "auto":
        note += " because MNIST is neither on this machine nor could it be fetched"
    # The two sizes are those of MNIST's ones and sevens; the seeds keep the parts apart.
    train = stroke_digits(13_007, np.random.default_rng(1))
    test = stroke_digits(2_163, np.random.default_rng(7))
    return Digits(*train, *test, "strokes", note + ".")


def _read_mnist(folder: Path, digits: tuple[int, int]) -> Digits:
    raw = folder / "MNIST" / "raw"
    for name in MNIST_MD5:
        # Asked twice, as another process may just have put a whole file there.
        if (raw / name).exists() and not _is_intact(raw / name) and not _is_intact(raw / name):
            print(f"{raw / name} is damaged: removed, to be downloaded again.")
            (raw / name).unlink(missing_ok=True)
    if not all(_is_intact(raw / name) for name in MNIST_MD5):
        _download_mnist(folder)
    parts = []
    for train in (True, False):
        part = _torchvision_datasets().MNIST(folder, train=train, download=False)
        keep = np.isin(part.targets.numpy(), digits)
        parts += [part.data.numpy()[keep], part.targets.numpy()[keep]]
    return Digits(*parts, "mnist", "Digits: MNIST, 28 × 28 pixels, handwritten.")


def _is_intact(path: Path) -> bool:
    return _has_md5(path, MNIST_MD5[path.name])


def _download_mnist(folder: Path) -> None:
    datasets = _torchvision_datasets()
    raw = folder / "MNIST" / "raw"
    raw.mkdir(parents=True, exist_ok=True)
    with _own_folder(folder) as own:
        _first_mirror_that_answers(datasets, own)
        for name, md5 in MNIST_MD5.items():
            _keep(Path(own) / "MNIST" / "raw" / name, raw / name, md5)


def _first_mirror_that_answers(datasets, folder: str) -> None:
    # torchvision goes on to its next mirror after an URLError, but not after a time-out.
    for mirror in datasets.MNIST.mirrors:
        # The name of the class is the name of the folder that torchvision fills.
        one_mirror = type("MNIST", (datasets.MNIST,), {"mirrors": [mirror]})
        try:
            one_mirror(folder, download=True)
            return
        except (OSError, RuntimeError) as error:
            shutil.rmtree(Path(folder) / "MNIST", ignore_errors=True)
            failure = error
    raise failure


def _torchvision_datasets():
    """Import `torchvision.datasets`, lazily: torch takes seconds to load."""
    try:
        import torchvision.datasets
    except RuntimeError:
        # The package index has torchvision built for CUDA. Beside a CPU-only torch its compiled
        # operators do not load, and the import fails because nobody declared these two. Nothing
        # here calls them, so a bare declaration is enough.
        import torch

        for schema in (
            "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
            "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
        ):
            torch.library.define(
                f"torchvision::{schema.split('(')[0]}", schema[schema.index("(") :]
            )
        import torchvision.datasets
    return torchvision.datasets


def _in_a_line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0]


def _has_md5(path: Path, md5: str) -> bool:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "md5").hexdigest() == md5
    except (FileNotFoundError, NotADirectoryError):
        return False


@contextmanager
def _own_folder(folder: Path) -> Iterator[str]:
    """Make a folder inside `folder` for downloads, which time out meanwhile.

    Every process downloads into a folder of its own and then renames whole, checked files:
    nobody ever reads half a file, and two that download at once end with the same bytes.
    """
    before = socket.getdefaulttimeout()
    with tempfile.TemporaryDirectory(dir=folder) as own:
        socket.setdefaulttimeout(TIMEOUT)
        try:
            yield own
        finally:
            socket.setdefaulttimeout(before)


def _keep(new: Path, place: Path, md5: str) -> None:
    """Move a downloaded file to its place, if it is what was to be downloaded."""
    if not _has_md5(new, md5):
        raise RuntimeError(f"the downloaded {new.name} has a wrong checksum")
    try:
        os.replace(new, place)
    except PermissionError:  # Windows: another process has just put it there and reads it
        if not _has_md5(place, md5):
            raise
