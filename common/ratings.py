"""Ratings: the films that ship with the project, or a table of the reader's own."""

import io
import re
import zipfile
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from common.environment import ROOT
from common.lines import bad, cells_of, layout, plain_numbers, read

SHIPPED = ROOT / "recommender-system" / "ml-latest-small" / "ratings.npz"
PACKED = {b"\x1f\x8b": "gzip", b"BZh": "bz2", b"\xfd7zXZ": "lzma"}
MOVIELENS = ("u.data", "u.item"), ("ratings.dat", "movies.dat"), ("ratings.csv", "movies.csv")


class NamedRatings(NamedTuple):
    """Ratings (N,) float64 of users and items (N,) int64, which are indices of the names."""

    users: np.ndarray
    items: np.ndarray
    ratings: np.ndarray
    times: np.ndarray | None  # (N,) int64, as the table counts them: mostly seconds since 1970
    user_names: np.ndarray  # (n,) str
    item_names: np.ndarray  # (m,) str

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of users and of items."""
        return len(self.user_names), len(self.item_names)


def ratings(path=None, *, columns=None, duplicates="error", encoding="utf-8-sig") -> NamedRatings:
    """Load the real ratings that ship with the project, or a table of your own.

    Parameters
    ----------
    path : str, path-like or DataFrame, optional
        Your table: a line for each rating, its cells separated by comma, semicolon, tab, |, ::
        or spaces; packed (gz, bz2, xz, zip) or not; or an archive of MovieLens. A quoted cell
        ends in its line; commas may be decimal where they do not separate. By default
        ml-latest-small: 100,836 ratings of 9,724 films by 610 people, its licence beside it.
    columns : tuple of three or four, str or int, optional
        Which columns hold user, item, rating and perhaps time: their titles, or positions from 0.
        By default those with usual titles, or else the first three or four of as many.
    duplicates : {"error", "last", "mean"}
        What becomes of several ratings of an item by a user; the last one gives the time.
    encoding : str
        How the text is written, "latin-1" or "utf-16" for instance.

    Returns
    -------
    NamedRatings
        In the table's order, users and items numbered as they first appear. Names are the texts
        without blanks around them ("007" is not "7"), of MovieLens' items the titles. times are
        whole numbers as they stand; None without them.

    Raises
    ------
    ValueError
        If an argument is not as above, or a line has a blank name, no finite number as rating,
        too many cells or a pair that was rated before; names the file and the line.
    FileNotFoundError
        If there is no file `path`.

    Notes
    -----
    Of your own table it prints in one line which columns were taken as what.

    F. M. Harper, J. A. Konstan, "The MovieLens Datasets: History and Context", ACM Transactions
    on Interactive Intelligent Systems 5 (4), 2015. https://doi.org/10.1145/2827872
    """
    if duplicates not in ("error", "last", "mean"):
        raise bad("duplicates", "'error', 'last' or 'mean'", duplicates)
    if path is None and columns is None:
        with np.load(SHIPPED, allow_pickle=False) as file:
            users, items, times = (file[k].astype(np.int64) for k in ("users", "items", "times"))
            names = (np.array(file[k].tobytes().decode().split("\n")) for k in ("people", "films"))
            return NamedRatings(users, items, file["halves"] / 2, times, *names)
    try:
        name, raw, *titles = _unpack(path)
    except Exception as error:  # each way of packing has its own
        kind = FileNotFoundError if isinstance(error, FileNotFoundError) else ValueError
        raise kind(f"path: expected a table to read, got {path!r:.150} ({error})") from error
    where = f"path: {name}, line"
    text, *laid = layout(raw, where, columns, encoding)
    found = NamedRatings(*(plain_numbers(text, *laid) or read(text, *laid, where)))
    return _with_titles(_once(found, text, laid[1], duplicates, where), *titles)


def _unpack(path) -> tuple:
    """Return a name and the bytes of a table, and of MovieLens' titles if it comes with them."""
    if isinstance(path, pd.DataFrame):  # read as the text that it would be, a line for each row
        titled = not all(isinstance(label, int) for label in path.columns)
        text = path.to_csv(index=False, header=titled, lineterminator="\0")
        return "the DataFrame as CSV", re.sub("[\r\n]", " ", text).replace("\0", "\n").encode()
    path = Path(path).expanduser()
    raw = path.read_bytes()
    for start, module in PACKED.items():  # known by how they start, as suffixes may lie
        raw = import_module(module).decompress(raw) if raw.startswith(start) else raw
    if not raw.startswith(b"PK\3\4"):
        return path, raw
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        files = {n.rpartition("/")[2]: n for n in archive.namelist() if "__MACOSX" not in n}
        names = [n for n in files if n]
        names = next((pair for pair in MOVIELENS if {*pair} <= {*names}), names)
        if names not in MOVIELENS and len(names) != 1:
            raise ValueError(f"in it are {names[:9]}; Excel's are for pandas.read_excel(path)")
        return f"{path}, {names[0]}", *(archive.read(files[name]) for name in names)


def _once(found: NamedRatings, text: bytes, mark: str, duplicates: str, where: str) -> NamedRatings:
    """Return ratings in which no pair of user and item is there twice."""
    pairs = found.users * len(found.item_names) + found.items
    if np.diff(np.sort(pairs)).all():  # far quicker than to look each of them up
        return found
    pairs = pd.Series(pairs)
    if duplicates == "error":
        again = pairs.duplicated().to_numpy().argmax()
        first = pairs.eq(pairs[again]).to_numpy().argmax()
        lines = enumerate(text.split(b"\n"), 1)
        lines = [k for k, line in lines if line.strip(b'" ' + mark.encode())][-len(pairs) :]
        user, item = found.user_names[found.users[again]], found.item_names[found.items[again]]
        what = "a new pair (or duplicates='last' or 'mean')"
        raise bad(f"{where} {lines[again]}", what, f"{user}, {item}, as in line {lines[first]}")
    if duplicates == "mean":
        mean = pd.Series(found.ratings).groupby(pairs).transform("mean")
        found = found._replace(ratings=mean.to_numpy())
    keep = ~pairs.duplicated(keep="last").to_numpy()
    return NamedRatings(*(None if c is None else c[keep] for c in found[:4]), *found[4:])


def _with_titles(found: NamedRatings, raw: bytes = b"") -> NamedRatings:
    """Replace the items' ids by titles; to one that several items have, the id is appended."""
    if not raw:
        return found
    latin = {0xDC00 + byte: byte for byte in range(128, 256)}  # older archives are not in UTF-8
    lines = raw.decode("utf-8", "surrogateescape").translate(latin).split("\n")
    mark = next((mark for mark in ("::", "|") if mark in lines[0]), ",")
    rows = (cells_of(line, mark) if mark == "," else line.split(mark) for line in lines)
    names = pd.Series({row[0]: row[1].strip() for row in rows if row[1:]}).reindex(found.item_names)
    if names.isna().any():
        raise bad("path", "a title of each item", f"none of {names.index[names.isna()][0]}")
    names = names.where(~names.duplicated(keep=False), names + " [" + names.index + "]")
    return found._replace(item_names=names.to_numpy(str))
