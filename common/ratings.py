"""Ratings: the films that ship with the project, or a table of the reader's own."""

import csv
import http.client
import io
import math
import os
import re
import urllib.request
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from common.digits import _has_md5, _in_a_line, _keep, _own_folder
from common.environment import data_folder

MOVIELENS_URL = "https://files.grouplens.org/datasets/movielens/ml-100k.zip"
MOVIELENS_MD5 = "0e33842e24a9c977be4e0107933c0723"  # GroupLens gives it in ml-100k.zip.md5
MOVIELENS_BYTES = 20_000_000  # several times the archive: more is not it, and is not waited for


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
    folder = data_folder()
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
        all(isinstance(c, str) for c in columns)
        or all(isinstance(c, int) and c >= 0 for c in columns)
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
