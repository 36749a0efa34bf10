"""Digits: MNIST, or ones and sevens drawn by a program where MNIST cannot be had."""

import hashlib
import os
import tempfile
import zlib
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple
from urllib.request import build_opener

import numpy as np

from common.checks import integer
from common.environment import ROOT, data_folders

STROKES = ROOT / "classification" / "strokes.npz"  # tools/draw_digits.py has drawn them
MIRRORS = ["https://ossci-datasets.s3.amazonaws.com/mnist/", "http://yann.lecun.com/exdb/mnist/"]
TIMEOUT = 10  # seconds without a byte before a mirror is given up
LARGEST = 50_000_000  # bytes that are read, and unpacked, at most: the largest file has 47 MB
MNIST_MD5 = {  # of the four files by Y. LeCun, C. Cortes, C. Burges, uncompressed
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

    The files are looked for in ``MNIST/raw`` in ``$ML_DATA_DIR`` and in ``data/`` beside the
    notebooks' folders, as `torchvision.datasets.MNIST` lays them out, compressed or not. Where all
    four are found no network is touched. Otherwise those missing are downloaded, checked, and moved
    whole to the first place that is free. A file with one of their names and another content (of
    Fashion-MNIST, say) stays as it is, and the note names it.

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
        If MNIST was asked for by name and cannot be had; says why, and how to fill which folder.

    Notes
    -----
    MNIST: Y. LeCun, C. Cortes, C. J. C. Burges, "The MNIST database of handwritten digits",
    CC BY-SA 3.0.
    """
    listed = isinstance(digits, tuple | list) or getattr(digits, "ndim", 0) == 1
    pair = {integer("digits", digit, 0, 9) for digit in digits} if listed else ()
    if len(pair) != 2 or len(digits) != 2:
        raise ValueError(f"digits: expected two different integers from 0 to 9, got {digits!r:.60}")
    if source not in ("auto", "mnist", "strokes"):
        raise ValueError(f'source: expected "auto", "mnist" or "strokes", got {source!r:.60}')
    if source == "strokes" and pair != {1, 7}:
        raise ValueError(f"digits: the stroke digits are ones and sevens only, got {digits!r:.60}")
    note = "Digits: pen strokes, drawn by a program"
    if source != "strokes":
        try:
            return _mnist([*pair])
        except Exception as error:  # whatever goes wrong: on the network, on the disk, in memory
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            if source == "mnist" or pair != {1, 7}:
                raise RuntimeError(
                    f"MNIST is not in {data_folders()[0]} and could not be downloaded ({reason}). "
                    f"Put its four files into {data_folders()[0] / 'MNIST' / 'raw'}, or set "
                    "ML_DATA_DIR to a folder that holds MNIST/raw, or connect to the network."
                ) from error
            note += f" because MNIST is neither on this machine nor could it be fetched ({reason})"
    with np.load(STROKES, allow_pickle=False) as file:
        kinds = zip(Digits._fields, (np.uint8, np.int64) * 2, strict=False)
        parts = [file[name].astype(kind) for name, kind in kinds]
    return Digits(*parts, "strokes", note + ".")


def _mnist(pair: list[int]) -> Digits:
    places = [folder / "MNIST" / "raw" for folder in data_folders()]
    found, foreign, reasons = {}, [], []
    for name in MNIST_MD5:
        for path in [place / f"{name}{end}" for place in places for end in ("", ".gz")]:
            with suppress(OSError, ValueError, zlib.error):
                small = 0 < path.stat().st_size <= LARGEST  # false for a pipe, which never ends
                found[name] = _checked(name, path.read_bytes() if small else b"")
                break
            foreign += [path] if os.path.lexists(path) else []
    missing = [name for name in MNIST_MD5 if name not in found]
    _download(missing, found, reasons)
    notes = ["Digits: MNIST, 28 × 28 pixels, handwritten"]
    notes += [f"not MNIST's, and left as it is: {path}" for path in foreign]
    if len(found) < len(MNIST_MD5):
        raise ConnectionError("; ".join(reasons + notes[1:]))
    for name in missing:
        _keep(name, found[name], [p for p in places if p not in {path.parent for path in foreign}])
    parts, files = [], [np.frombuffer(found[name], np.uint8) for name in MNIST_MD5]
    for images, labels in (files[:2], files[2:]):
        keep = np.isin(labels[8:], pair)
        parts += [images[16:].reshape(-1, 28, 28)[keep], labels[8:][keep].astype(np.int64)]
    return Digits(*parts, "mnist", "; ".join(notes) + ".")


def _checked(name: str, data: bytes) -> bytes:
    """Return the file's content, uncompressed; ValueError or zlib.error if it is not MNIST's."""
    data = zlib.decompressobj(31).decompress(data, LARGEST) if data[:2] == b"\x1f\x8b" else data
    if hashlib.md5(data, usedforsecurity=False).hexdigest() != MNIST_MD5[name]:
        raise ValueError(f"{name} has a wrong checksum")
    return data


def _download(missing: list[str], found: dict[str, bytes], reasons: list[str]) -> None:
    """Add the missing files to those found, or to the reasons why a mirror did not send them."""
    for mirror in MIRRORS:
        try:
            for name in missing:  # a new opener knows the proxies of this moment
                with build_opener().open(f"{mirror}{name}.gz", timeout=TIMEOUT) as answer:
                    found[name] = _checked(name, answer.read(LARGEST))
            return
        except Exception as error:
            reasons.append(f"{mirror}: {type(error).__name__}: {error}")


def _keep(name: str, data: bytes, places: list[Path]) -> None:
    """Move a file whole into the first place that takes it; where there is none, do without."""
    for place in places:
        with suppress(OSError):
            place.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=place) as own:
                (Path(own) / name).write_bytes(data)
                if not os.path.lexists(place / name):  # else it is of a process beside this one
                    os.replace(Path(own) / name, place / name)
            return
