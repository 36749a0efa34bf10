"""The notebooks' data: MNIST or its stand-in, a photo, ratings, synthetic data with its truth."""

import csv
import hashlib
import http.client
import io
import math
import os
import re
import shutil
import socket
import tempfile
import urllib.request
import warnings
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from numbers import Real
from pathlib import Path
from typing import NamedTuple

import matplotlib.cbook
import numpy as np
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

ROOT = Path(__file__).resolve().parents[1]
TIMEOUT = 10  # seconds without a byte before a download is given up
MAX_PIXELS = 50_000_000  # a larger photo would need gigabytes once its colours are clustered

# MD5 of the four files of MNIST (Y. LeCun, C. Cortes, C. Burges), uncompressed, computed from
# archives that pass the checksums in torchvision.datasets.MNIST.
MNIST_MD5 = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}

MOVIELENS_URL = "https://files.grouplens.org/datasets/movielens/ml-100k.zip"
MOVIELENS_MD5 = "0e33842e24a9c977be4e0107933c0723"  # GroupLens gives it in ml-100k.zip.md5
MOVIELENS_BYTES = 20_000_000  # several times the archive: more is not it, and is not waited for


class Digits(NamedTuple):
    """Images (n, 28, 28) uint8 with white ink (255) on black, and labels (n,) int64."""

    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray
    source: str  # "mnist" or "strokes"
    note: str  # one line that says which digits these are, and why


class LinearData(NamedTuple):
    """X (n, d) and y (n,) = X w + b + noise, with the truth w (d,), b and noise (a std)."""

    X: np.ndarray
    y: np.ndarray
    w: np.ndarray
    b: float
    noise: float


class Ratings(NamedTuple):
    """Observed triples, each (N,), with every noisy rating and the truth, each (n, m)."""

    users: np.ndarray
    items: np.ndarray
    ratings: np.ndarray
    noisy: np.ndarray
    truth: np.ndarray
    noise: float  # standard deviation of noisy - truth, in rating units


class NamedRatings(NamedTuple):
    """Ratings (N,) float64 of users and items (N,) int64, which are indices of the names."""

    users: np.ndarray
    items: np.ndarray
    ratings: np.ndarray
    user_names: np.ndarray  # (n,) str
    item_names: np.ndarray  # (m,) str

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of users and of items."""
        return len(self.user_names), len(self.item_names)


# MNIST -----------------------------------------------------------------------------------------


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
    if not pair or not all(_is_whole(d) and 0 <= d <= 9 for d in digits) or digits[0] == digits[1]:
        raise ValueError(f"digits: expected two different integers from 0 to 9, got {digits!r}")
    if source not in ("auto", "mnist", "strokes"):
        raise ValueError(f'source: expected "auto", "mnist" or "strokes", got {source!r}')
    drawable = set(digits) == {1, 7}
    if source == "strokes" and not drawable:
        raise ValueError(f"digits: the stroke digits are ones and sevens only, got {digits!r}")
    if source != "strokes":
        folder = _data_folder()
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


# Downloads -------------------------------------------------------------------------------------


def _data_folder() -> Path:
    return Path(os.environ.get("ML_DATA_DIR") or ROOT / "data")


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


# Stroke digits ---------------------------------------------------------------------------------

POINTS = 24  # points along a pen stroke: closer together than the finest pen is wide
PEN = (0.45, 2.0)  # narrowest and widest pen, as the standard deviation in pixels of its ink


def stroke_digits(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw ones and sevens with a pen, in MNIST's format.

    A one is a stem, at times with a flag at its top and a serif at its foot; a seven is a bar and
    a leg, at times with a hook at the bar's start and a short bar across the leg. Every stroke is a
    quadratic Bézier curve; proportions, curvature, slant, pen and ink are random. The ranges were
    set by looking at MNIST's digits, so that what is learned from these works on those.

    Parameters
    ----------
    n : int
        How many images, at least 1.
    rng : numpy.random.Generator
        Source of all randomness.

    Returns
    -------
    images : ndarray, shape (n, 28, 28), uint8
        White ink (255) on black, anti-aliased, in a box of 20 pixels centred by mass.
    labels : ndarray, shape (n,), int64
        1 or 7, each with probability 1/2.

    Raises
    ------
    ValueError
        If `n` is below 1 or no integer.
    """
    _check_sizes(n=n)
    labels = rng.choice(np.array([1, 7]), size=n)
    strokes, drawn = _strokes(labels == 1, rng)
    slant = rng.normal(np.where(labels == 1, 0.22, 0.25), np.where(labels == 1, 0.36, 0.25))
    strokes[..., 0] -= slant[:, None, None] * strokes[..., 1]
    pen = np.exp(rng.normal(np.log(0.75), 0.3, n)).clip(*PEN)
    black = rng.uniform(3, 8, n)
    images = np.empty((n, 28, 28), dtype=np.uint8)
    for i in range(0, n, 500):  # so few at a time that they stay in the processor's cache
        part = slice(i, i + 500)
        images[part] = _ink(strokes[part], drawn[part], pen[part], black[part])
    return images, labels


def _strokes(one: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return four strokes for each digit, (n, 4, POINTS, 2), and which are drawn, (n, 4)."""
    n = len(one)

    def point(x, y):  # x to the right, y down; a digit is about 1 tall; a pair is a range
        x, y = (rng.uniform(*v, n) if isinstance(v, tuple) else v + np.zeros(n) for v in (x, y))
        return np.stack([x, y], axis=1)

    def normal_point(x, y):  # here a pair is a mean and a standard deviation
        return np.stack([rng.normal(*x, n), rng.normal(*y, n)], axis=1)

    # The seven.
    right = point((0.13, 0.5), (-0.08, 0.08))
    left = point(-right[:, 0], (-0.05, 0.3))
    foot = point((-0.25, 0.25), 1)
    bar = left, (left + right) / 2 + normal_point((0, 0.08), (-0.03, 0.11)), right
    leg = right, (right + foot) / 2 + normal_point((0.05, 0.18), (0, 0.1)), foot
    hook = (
        left,
        left + point((-0.05, 0.05), (0.05, 0.12)),
        left + point((-0.14, 0.08), (0.08, 0.35)),
    )
    middle = (right + foot) / 2 + point((-0.12, 0.08), (-0.2, 0.2))
    arm = point((0.12, 0.4), 0) + normal_point((0, 0), (0, 0.08))
    cross = middle - arm, middle, middle + arm

    # The one.
    top, bottom = point(0, 0), point(0, 1)
    stem = top, point(0, (0.3, 0.7)) + normal_point((0, 0.09), (0, 0)), bottom
    flag = top, top + point((-0.15, -0.05), (0.03, 0.12)), top + point((-0.35, -0.1), (0.1, 0.35))
    arm = point((0.12, 0.35), 0) + normal_point((0, 0), (0, 0.03))
    serif = bottom - arm, bottom, bottom + arm * rng.uniform(0.6, 1.2, (n, 1))

    # The fourth column is the probability of drawing the stroke: in a one, in a seven.
    table = [
        (stem, leg, 1, 1),
        (stem, bar, 0, 1),
        (flag, hook, 0.25, 0.45),
        (serif, cross, 0.12, 0.35),
    ]
    t = np.linspace(0, 1, POINTS)[:, None]
    strokes, drawn = [], []
    for of_one, of_seven, p_one, p_seven in table:
        a, b, c = np.where(one[:, None], of_one, of_seven)[:, :, None]
        strokes.append((1 - t) ** 2 * a + 2 * t * (1 - t) * b + t**2 * c)
        drawn.append(rng.random(n) < np.where(one, p_one, p_seven))
    return np.stack(strokes, axis=1), np.stack(drawn, axis=1)


def _ink(strokes: np.ndarray, drawn: np.ndarray, pen: np.ndarray, black: np.ndarray) -> np.ndarray:
    """Render strokes (n, 4, POINTS, 2) as images (n, 28, 28) uint8."""
    n = len(strokes)
    # Every point carries the ink of its share of the stroke's length, and none if not drawn.
    points, used = strokes.reshape(n, -1, 2), np.repeat(drawn, POINTS, axis=1)
    low = np.where(used[..., None], points, np.inf).min(axis=1)
    high = np.where(used[..., None], points, -np.inf).max(axis=1)
    scale = (20 - 4.2 * pen) / (high - low).max(axis=1)  # the box holds the pen's width as well
    strokes = strokes * scale[:, None, None, None]
    length = np.linalg.norm(np.gradient(strokes, axis=2), axis=3) * drawn[:, :, None]
    length = length.reshape(n, -1, 1)
    points = strokes.reshape(n, -1, 2)
    points = points - (points * length).sum(axis=1, keepdims=True) / length.sum(
        axis=1, keepdims=True
    )
    points = (points + 13.5).astype(np.float32)
    # A dab of ink is Gaussian, hence a product of one factor in x and one in y: the sum over all
    # points of a digit is a matrix product.
    pen = pen[:, None, None].astype(np.float32)
    pixels = np.arange(28, dtype=np.float32)
    in_x, in_y = (np.exp(-(((pixels - points[..., [k]]) / pen) ** 2) / 2) for k in (0, 1))
    in_y *= (length / (np.sqrt(2 * np.pi) * pen)).astype(np.float32)
    ink = in_y.transpose(0, 2, 1) @ in_x
    # Paper that is black already takes up no more.
    dark = 1 - np.exp(-((black[:, None, None].astype(np.float32) * ink) ** 1.5))
    return np.round(255 * dark).astype(np.uint8)


# A photo ---------------------------------------------------------------------------------------


def photo(path: str | os.PathLike | None = None) -> np.ndarray:
    """Read a photo as RGB.

    Parameters
    ----------
    path : str or path-like, optional
        Any file that Pillow can read: grey, palette, transparent (laid over white), CMYK, 16 bits
        per channel; turned upright where its EXIF data says so; of an animation the first frame.
        By default the portrait of Grace Hopper (public domain) that ships inside matplotlib.

    Returns
    -------
    ndarray, shape (h, w, 3), uint8
        Red, green and blue, 0 to 255.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is empty, is no image, or has more than 50 million pixels.
    """
    if path is None:
        path = matplotlib.cbook.get_sample_data("grace_hopper.jpg", asfileobj=False)
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"path: there is no file {path}")
    if not path.is_file():
        raise ValueError(f"path: expected an image file, {path} is a folder")
    if path.stat().st_size == 0:
        raise ValueError(f"path: {path} is empty")
    try:
        with warnings.catch_warnings():
            # Pillow warns of sizes that we reject by our own, lower limit.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                pixels = image.width * image.height
                if pixels <= MAX_PIXELS:
                    return np.array(_to_rgb(ImageOps.exif_transpose(image)))
    except UnidentifiedImageError as error:
        raise ValueError(f"path: {path} is not an image that Pillow can read") from error
    except Image.DecompressionBombError as error:
        raise ValueError(f"path: {path} has far more than {MAX_PIXELS:,} pixels") from error
    except (OSError, SyntaxError, ValueError, TypeError, OverflowError) as error:
        # All of these Pillow raises, depending on where the data is broken.
        raise ValueError(f"path: {path} cannot be decoded ({error})") from error
    raise ValueError(f"path: {path} has {pixels:,} pixels, expected at most {MAX_PIXELS:,}")


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith(("I", "F")):
        # More than 8 bits, of which Pillow's own conversion would clip all but the lowest 256
        # values. Floats in 0 to 1 and integers of 16 bits have an agreed white; the range of
        # any others that do not fit into 8 bits is stretched.
        values = np.asarray(image, dtype=np.float64)
        low, high = values.min(), values.max()
        if not np.isfinite(high - low):
            raise ValueError("it holds NaN or infinity")
        clear = values == image.info.get("transparency")
        if image.mode == "F" and 0 <= low <= high <= 1:
            values = values * 255
        elif image.mode.startswith("I;16") or (0 <= low and 255 < high <= 65535):
            values = values / 257
        elif low < 0 or high > 255:
            values = (values - low) / max(high - low, 1) * 255
        values = np.where(clear, 255, np.round(values))
        image = Image.fromarray(values.astype(np.uint8))
    if image.mode == "LAB":
        lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        return ImageCms.profileToProfile(image, lab, srgb, outputMode="RGB")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        paper = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(paper, image)
    return image.convert("RGB")


# Ratings ---------------------------------------------------------------------------------------


def movielens_100k(
    path: str | os.PathLike | None = None,
    *,
    columns: tuple[str | int, str | int, str | int] | None = None,
    download: bool = True,
    required: bool = True,
) -> NamedRatings | None:
    """Load MovieLens 100K, 100,000 ratings of films from 1 to 5, or ratings of your own.

    The archive ``ml-100k.zip`` is looked for in ``$ML_DATA_DIR``, or in ``data/`` beside the
    notebooks' folders. If it is not there it is downloaded, checked, and moved into place whole.

    Parameters
    ----------
    path : str or path-like, optional
        Your own ratings instead, as UTF-8 text with a line for each: user, item, rating,
        separated by comma, semicolon, tab or |. Users and items are named as you like. A first
        line that names the columns is recognised. Or an archive laid out like MovieLens'.
    columns : tuple of three str or int, optional
        Which columns of your text hold user, item and rating, by their names in its first line or
        by their positions from 0. By default those so named, or else the first three.
    download : bool
        Whether the network may be used.
    required : bool
        If False, return None where MovieLens cannot be had, without a word.

    Returns
    -------
    NamedRatings
        users and items (N,) int64, ratings (N,) float64 in the file's order; user_names (n,) and
        item_names (m,), numbered in the order in which the file first mentions them.

    Raises
    ------
    ValueError
        If your file is not as above, has a rating that is no finite number, rates a pair twice,
        or is empty; names the file and the line. If `columns` is not as above.
    FileNotFoundError
        If there is no file `path`.
    RuntimeError
        If MovieLens is required and cannot be had; names the folder and how to fill it.

    Notes
    -----
    F. M. Harper, J. A. Konstan, "The MovieLens Datasets: History and Context", ACM Transactions
    on Interactive Intelligent Systems 5 (4), 2015. Free for research, but not to be passed on:
    https://files.grouplens.org/datasets/movielens/ml-100k-README.txt
    """
    _check_columns(columns)
    if path is not None:
        return _read_ratings(path, columns)
    if columns is not None:
        raise ValueError(f"columns: expected None without a path, got {columns!r}")
    folder = _data_folder()
    try:
        return _read_archive(_movielens_archive(folder, download))
    except (OSError, RuntimeError, http.client.HTTPException) as error:
        if not required:
            return None
        raise RuntimeError(
            f"MovieLens 100K is not in {folder} and was not downloaded ({_in_a_line(error)}). "
            f"Please fetch {MOVIELENS_URL} yourself and put it into that folder as it is, or set "
            "ML_DATA_DIR to a folder that holds it, or connect to the network. Ratings of your "
            "own need no download: movielens_100k(path)."
        ) from error


def _movielens_archive(folder: Path, download: bool) -> Path:
    archive = folder / "ml-100k.zip"
    # Asked twice, as another process may just have put a whole file there.
    if _has_md5(archive, MOVIELENS_MD5) or _has_md5(archive, MOVIELENS_MD5):
        return archive
    if not download:
        raise RuntimeError("downloads were ruled out")
    if archive.exists():
        print(f"{archive} is damaged: removed, to be downloaded again.")
        archive.unlink(missing_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    with _own_folder(folder) as own:
        new = Path(own) / archive.name
        with urllib.request.urlopen(MOVIELENS_URL) as answer:
            new.write_bytes(answer.read(MOVIELENS_BYTES))
        _keep(new, archive, MOVIELENS_MD5)
    return archive


def _read_archive(path: Path) -> NamedRatings:
    texts = []
    try:
        with zipfile.ZipFile(path) as archive:
            for name, encoding in (("u.data", "utf-8"), ("u.item", "latin-1")):
                texts.append(archive.read(f"ml-100k/{name}").decode(encoding))
    except (
        zipfile.BadZipFile, zlib.error, EOFError,  # truncated or damaged
        KeyError, RuntimeError, UnicodeError,  # another archive; encrypted; other bytes
    ) as error:  # fmt: skip
        raise ValueError(f"path: {path} is not an archive like MovieLens' ({error})") from error
    rows = csv.reader(io.StringIO(texts[0]), delimiter="\t")
    found = _index(_triples(rows, (0, 1, 2), f"{path}, u.data"))
    titles = dict(line.split("|")[:2] for line in texts[1].split("\n") if "|" in line)
    missing = [name for name in found.item_names if name not in titles]
    if missing:
        raise ValueError(f"path: {path}, u.item: there is no title for item {missing[0]}")
    return found._replace(item_names=np.array([titles[name] for name in found.item_names]))


def _read_ratings(path: str | os.PathLike, columns: tuple | None) -> NamedRatings:
    if not isinstance(path, str | os.PathLike):
        raise ValueError(f"path: expected the path of a file, got {path!r}")
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"path: there is no file {path}")
    if not path.is_file():
        raise ValueError(f"path: expected a file of ratings, {path} is a folder")
    if path.suffix.lower() == ".zip":
        return _read_archive(path)
    try:
        text = path.read_text(encoding="utf-8-sig")  # a spreadsheet may put a mark in front
    except UnicodeDecodeError as error:
        raise ValueError(f"path: {path} is not text in UTF-8 ({error})") from error
    first = next((line for line in text.splitlines() if line.strip()), "")
    separators = [s for s in "\t;,|" if len(next(csv.reader([first], delimiter=s), [])) >= 3]
    if not separators:
        said = f"its first line is {first[:60]!r}" if first else "it is empty"
        raise ValueError(f"path: expected lines of user, item and rating in {path}, {said}")
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=separators[0], strict=True)
    titles = next(csv.reader([first], delimiter=separators[0]))
    places, header = _places([title.strip() for title in titles], columns, path)
    try:
        return _index(_triples(rows, places, path, header))
    except csv.Error as error:
        raise ValueError(f"path: {path}, line {rows.line_num}: {error}") from error


def _check_columns(columns: tuple | None) -> None:
    if columns is None:
        return
    three = isinstance(columns, tuple | list) and len(columns) == 3
    kinds = three and (
        all(isinstance(c, str) for c in columns) or all(_is_whole(c) and c >= 0 for c in columns)
    )
    if not kinds or len(set(columns)) < 3:
        raise ValueError(
            f"columns: expected three different names, or positions from 0, got {columns!r}"
        )


def _places(titles: list[str], columns: tuple | None, path: Path) -> tuple[tuple, bool]:
    """Return the positions of user, item and rating, and whether the first line is a header."""
    if columns is not None and isinstance(columns[0], str):
        missing = [column for column in columns if column not in titles]
        if missing:
            raise ValueError(f"columns: {missing[0]!r} is not in {path}, which has {titles}")
        return tuple(titles.index(column) for column in columns), True
    places = (0, 1, 2) if columns is None else columns
    if max(places) >= len(titles):
        raise ValueError(f"columns: {path} has {len(titles)} columns, asked for {columns}")
    if _is_number(titles[places[2]]):
        return places, False
    if columns is None:
        # "userId", "User ID" and "user" are all a user; what is rated has many names.
        plain = [re.sub(r"[\W_]", "", title.lower()).removesuffix("id") for title in titles]
        names = ({"user"}, {"item", "movie", "film", "product"}, {"rating"})
        found = [[j for j, title in enumerate(plain) if title in name] for name in names]
        if not all(len(places) == 1 for places in found):
            raise ValueError(
                f"path: {path}, line 1: expected user, item and rating, or their names, got "
                f"{titles}; columns=(...) says which columns they are in"
            )
        places = tuple(place for (place,) in found)
    return places, True


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _triples(
    rows: "csv.reader", places: tuple, where: str | Path, header: bool = False
) -> Iterator[tuple[str, str, float]]:
    """Give user, item and rating of each row that is not blank; name the line of a bad one."""
    lines: dict[tuple[str, str], int] = {}
    for row in rows:
        if not any(cell.strip() for cell in row):
            continue
        if header:
            header = False
            continue

        def bad(why: str, line: int = rows.line_num) -> ValueError:
            return ValueError(f"path: {where}, line {line}: {why}")

        if len(row) <= max(places):
            raise bad(f"expected at least {max(places) + 1} columns, got {len(row)}")
        user, item, rating = (row[place].strip() for place in places)
        if not user or not item:
            raise bad(f"expected {'an item' if user else 'a user'}, got nothing")
        if not _is_number(rating) or not math.isfinite(float(rating)):
            raise bad(f"expected a finite number as the rating, got {rating!r}")
        if (user, item) in lines:
            raise bad(f"user {user!r} has rated {item!r} before, in line {lines[user, item]}")
        lines[user, item] = rows.line_num
        yield user, item, float(rating)
    if not lines:
        raise ValueError(f"path: {where} holds no rating")


def _index(triples: Iterable[tuple[str, str, float]]) -> NamedRatings:
    users, items, rated = {}, {}, []
    for user, item, rating in triples:
        rated.append((users.setdefault(user, len(users)), items.setdefault(item, len(items))))
        rated[-1] += (rating,)
    u, i, r = zip(*rated, strict=True)
    names = np.array(list(users)), np.array(list(items))
    return NamedRatings(np.array(u, np.int64), np.array(i, np.int64), np.array(r), *names)


# Synthetic data --------------------------------------------------------------------------------


def linear_data(n: int, d: int, noise: float, rng: np.random.Generator) -> LinearData:
    """Draw a linear regression problem whose answer is known.

    The rows of X are standard normal and w is uniform on the unit sphere, so that the signal Xw
    has variance 1 and `noise` is relative to it.

    Parameters
    ----------
    n, d : int
        Examples (n ≥ 1) and features (d ≥ 1).
    noise : float
        Standard deviation σ ≥ 0 of the Gaussian noise in y.
    rng : numpy.random.Generator
        Source of all randomness.

    Returns
    -------
    LinearData
        X (n, d) and y (n,) float64, and the truth w (d,), b and noise.

    Raises
    ------
    ValueError
        If a size is below 1 or `noise` is negative or not finite.
    """
    _check_sizes(n=n, d=d)
    _check_noise(noise)
    w = rng.standard_normal(d)
    w /= np.linalg.norm(w)
    b = rng.standard_normal()
    X = rng.standard_normal((n, d))
    y = X @ w + b + noise * rng.standard_normal(n)
    return LinearData(X, y, w, float(b), float(noise))


def low_rank_ratings(
    n_users: int,
    n_items: int,
    rank: int,
    noise: float,
    observed: float,
    rng: np.random.Generator,
) -> Ratings:
    """Draw a ratings matrix of known rank, with noise, of which a part is observed.

    The truth is P Qᵀ with standard normal factors, scaled to standard deviation 1, so that `noise`
    is relative to the signal.

    Parameters
    ----------
    n_users, n_items : int
        Shape of the matrix.
    rank : int
        Rank of the truth, 1 to min(n_users, n_items).
    noise : float
        Standard deviation ≥ 0 of the Gaussian noise, relative to the truth's.
    observed : float
        Share of all entries that is observed, above 0 and at most 1; at least one entry is.
    rng : numpy.random.Generator
        Source of all randomness.

    Returns
    -------
    Ratings
        users and items (N,) int64, without repeats and in random order; their ratings (N,);
        noisy and truth (n_users, n_items); all float64.

    Raises
    ------
    ValueError
        If an argument is outside the range given above.
    """
    _check_sizes(n_users=n_users, n_items=n_items, rank=rank)
    _check_noise(noise)
    if rank > min(n_users, n_items):
        raise ValueError(f"rank: expected at most min(n_users, n_items), got {rank}")
    if not isinstance(observed, Real) or not 0 < observed <= 1:
        raise ValueError(f"observed: expected a share above 0 and at most 1, got {observed!r}")
    truth = rng.standard_normal((n_users, rank)) @ rng.standard_normal((n_items, rank)).T
    if truth.size > 1:
        truth /= truth.std()
    noisy = truth + noise * rng.standard_normal(truth.shape)
    count = max(1, round(observed * truth.size))
    users, items = np.unravel_index(rng.choice(truth.size, count, replace=False), truth.shape)
    return Ratings(users, items, noisy[users, items], noisy, truth, float(noise))


def _is_whole(value) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def _check_sizes(**sizes: int) -> None:
    for name, size in sizes.items():
        if not _is_whole(size) or size < 1:
            raise ValueError(f"{name}: expected an integer of at least 1, got {size!r}")


def _check_noise(noise: float) -> None:
    if not isinstance(noise, Real) or not 0 <= noise < np.inf:
        raise ValueError(f"noise: expected a finite standard deviation of 0 or more, got {noise!r}")
