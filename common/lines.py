"""Lines of user, item and rating: how a text of them is laid out, and what is in it."""

import csv
import io
import re
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd

USUAL = {  # titles in small letters without punctuation and a last "id"; the first found counts
    "user": "user reviewer customer reader viewer listener member person",
    "item": "item movie film book product asin isbn artist song game business recipe title",
    "rating": "rating bookrating starrating stars star overall score value",
    "time": "timestamp time unixreviewtime date",
}
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)


def bad(name: str, expected: str, got) -> ValueError:
    """Return the error that says so."""
    return ValueError(f"{name}: expected {expected}, got {got!r:.150}")


def layout(raw: bytes, where: str, columns, encoding: str) -> tuple:
    """Print what is taken as what; return the text, where data start, mark, places and width."""
    try:
        plain = raw.isascii() and 0 not in raw
        text = raw if plain else raw.decode(encoding).removeprefix("\ufeff").encode()
        wrong = text.find(0)
    except (UnicodeError, LookupError, TypeError) as error:
        text, wrong = raw, getattr(error, "start", 0)
    if wrong >= 0:
        what = f"text in {encoding} (encoding=... for another; Parquet is for pandas.read_parquet)"
        raise bad(f"{where} {text.count(10, 0, wrong) + 1}", what, text[wrong:])
    if b"\r" in text:
        text = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    start = re.match(rb"(?:[^\S\n]*\n)*", text).end()
    lines = text[start : start + 100_000].decode(errors="ignore").split("\n")[:20]
    found = [(*_places(lines, columns, mark), mark) for mark in ("::", *"\t;,| ")]
    good, places, titles, titled, mark = max(found, key=lambda each: each[0])
    if good < 0:
        name = f"{where} {text.count(10, 0, start) + 1}" if columns is None else "columns"
        what = f"{columns or 'user, item, rating or usual titles of them'}, with , ; tab | :: or "
        what += "spaces between (columns=... says which they are, pandas.melt makes wide data long)"
        raise bad(name, what, lines[0])
    taken = zip(USUAL, [titles[place] if titled else place for place in places], strict=False)
    said = [f"{kind} = {column}" for kind, column in taken]
    print(f"{where[6:-6]}: columns", *said, "" if titled else "(there are no titles)")
    start = (text.find(b"\n", start) + 1 or len(text)) if titled else start
    return text, start, mark, places, len(titles)


def _places(lines: list[str], columns, mark: str) -> tuple:
    """Return how many ratings `mark` finds (-1 if no columns), their places, and the titles."""
    rows = [cells_of(line, mark) for line in lines]
    titles = rows[0]
    plain = [re.sub(r"[\W_]", "", title.lower()).removesuffix("id") for title in titles]
    known = {title: place for place, title in enumerate(plain) if plain.count(title) == 1}
    usual = [next((known[n] for n in names.split() if n in known), -1) for names in USUAL.values()]
    if columns is None and -1 not in usual[:3]:
        columns = [place for place in usual if place >= 0]
    elif columns is None and len(titles) in (3, 4) and np.isfinite(_number(titles[2], mark)):
        columns = [0, 1, 2, 3][: len(titles)]
    columns = columns if isinstance(columns, tuple | list) else []
    places = [titles.index(c) if titles.count(c) == 1 else c for c in columns]
    right = all(type(p) is int and 0 <= p < len(titles) for p in places)
    if not right or len({*places}) < len(places) or len(places) not in (3, 4):
        return -1, places, titles, False
    titled = places != [*columns] or any(a == b for a, b in zip(places, usual, strict=False))
    good = sum(np.isfinite(_number(row[places[2]], mark)) for row in rows if row[places[2] :])
    return good, places, titles, titled


def cells_of(line: str, mark: str) -> list[str]:
    """Split a line; if a quote stays open it is one cell, which is too few."""
    cells = line.split(None if mark == " " else mark)
    if '"' in line and mark != "::":
        line = " ".join(cells) if mark == " " else line
        rows = [*csv.reader([line, ""], delimiter=mark, skipinitialspace=mark != " ")]
        cells = rows[0] if len(rows) == 2 else [line]
    return [cell.strip() for cell in cells]


def _number(text: str, mark: str) -> float:
    text = text if mark == "," else text.replace(",", ".")
    return float(text) if NUMBER.fullmatch(text) else np.nan


def plain_numbers(text: bytes, start: int, mark: str, places: list[int], width: int) -> list | None:
    """Read whole ids with pandas, quickly; None where that might change or lose a cell.

    Quotes, and numbers in writings that differ from Python's (+7, 007, -0, 1e0, 12 decimals,
    blanks around them), are for `read`, and so is whatever pandas refuses. The last column is read
    so that no line is short; if all have their marks, none is long. Ids have no type given, as
    pandas would then take 1.0 for 1.
    """
    if mark == "::":  # pandas is quick with a single character
        text, start, mark = text[start:].replace(b"::", b"\x1f"), 0, "\x1f"
    sep = mark.encode()
    single = b'"+eE \t\v\f'.replace(sep, b"")
    odd = text.find(b"-", start) >= 0 and re.search(rb"-0(?!\.)", text)
    odd = odd or re.match(rb"0\d", text) or any(text.find(byte, start) >= 0 for byte in single)
    if odd or _has_long_numbers(text, sep):
        return None
    ids = [*places[:2], *places[3:]]
    kinds = {place: float for place in (places[2], width - 1) if place not in ids}
    options = {"names": range(width), "usecols": [*kinds, *ids], "dtype": kinds, "sep": mark}
    options |= {"header": None, "index_col": False, "na_filter": False, "skip_blank_lines": False}
    middle = text.find(b"\n", (start + len(text)) // 2) + 1
    halves = slice(start, middle), slice(middle, None)
    try:
        with warnings.catch_warnings(action="error"), ThreadPoolExecutor(2) as pool:
            parts = [*pool.map(lambda h: pd.read_csv(io.BytesIO(text[h]), **options), halves)]
            columns = [np.concatenate([part.pop(place) for part in parts]) for place in places]
            (users, people), (items, things) = pool.map(pd.factorize, columns[:2])
    except Exception:  # `read` finds what is wrong
        return None
    whole = all(column.dtype == np.int64 for column in columns[:2] + columns[3:])
    whole &= text.count(sep, start) == (width - 1) * len(users)
    if not whole or not -1e9 < columns[2].min() <= columns[2].max() < 1e9:
        return None
    return [users, items, *[*columns[2:], None][:2], people.astype(str), things.astype(str)]


def _has_long_numbers(text: bytes, sep: bytes) -> bool:
    """Whether a cell, but the text's first, begins with 0 and a digit, or has 6 decimals."""
    for k in range(0, len(text), 1 << 18):  # a piece that stays in the processor's cache
        piece = np.frombuffer(text[k : k + (1 << 18) + 6], np.uint8)
        digit, mark = piece - 48 < 10, (piece == ord(sep)) | (piece == ord("\n"))
        two = digit[1:] & digit[:-1]
        decimals = (piece[:-6] == ord(".")) & two[1:-4] & two[3:-2] & two[5:]
        if decimals.any() or (mark[:-2] & (piece[1:-1] == ord("0")) & digit[2:]).any():
            return True
    return False


def read(text: bytes, start: int, mark: str, places: list[int], width: int, where: str) -> list:
    """Read any table, cell by cell, or name the first line that is wrong."""
    people, things, users, items, rated, times = {}, {}, [], [], [], []
    for number, line in enumerate(text[start:].decode().split("\n"), text.count(10, 0, start) + 1):
        cells = cells_of(line, mark)
        if not any(cells):
            continue
        cells += [""] * (width - len(cells))
        user, item, rating, *time = (cells[place] for place in places)
        value = _number(rating, mark)
        if not (user and item and abs(value) < np.inf) or any(cells[width:]):
            what = "user, item and a finite number as rating, with quotes that close in their line"
            raise bad(f"{where} {number}", f"{what}, in at most {width} cells", line)
        users.append(people.setdefault(user, len(people)))
        items.append(things.setdefault(item, len(things)))
        rated.append(value)
        times += [int(cell) for cell in time if re.fullmatch(r"-?[1-8]?\d{1,18}", cell, re.ASCII)]
    if not rated:
        raise bad(where.removesuffix(", line"), "ratings", "none")
    when = np.array(times) if len(times) == len(rated) else None
    return [*map(np.array, (users, items, rated)), when, *map(np.array, ([*people], [*things]))]
