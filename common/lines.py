"""Lines of user, item and rating: how a text is laid out, and what is in it."""

import csv
import io
import re
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import pandas as pd

# Usual titles, in small letters without punctuation and a last "id"; of several the first counts.
USUAL = {
    "user": "user reviewer customer",
    "item": "item movie film book product asin isbn artist song game business recipe title",
    "rating": "rating bookrating starrating stars star overall score value",
    "time": "timestamp time unixreviewtime date",
}
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
PIECE = 1 << 21  # bytes parsed at once


def bad(name: str, expected: str, got) -> ValueError:
    """Return the error that says so."""
    return ValueError(f"{name}: expected {expected}, got " + f"{got!r:.150}".replace("\\x1f", "::"))


def layout(raw: bytes, where: str, columns, encoding: str) -> tuple:
    """Find out how a table is laid out, print it, and return what `read` needs."""
    try:
        text = raw if raw.isascii() else raw.decode(encoding).removeprefix("\ufeff").encode()
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
    lines = [line for line in lines if line.strip()] or [""]
    if all(line.count("::") > 1 for line in lines):  # pandas wants a single character
        text, lines = text.replace(b"::", b"\x1f"), [line.replace("::", "\x1f") for line in lines]
    found = [_places(lines, columns, mark) for mark in ("\x1f", "\t", ";", ",", "|", " ")]
    good, *found, titles = max(found, key=lambda each: each[0])
    if good < 0:
        where = f"{where} {text.count(10, 0, start) + 1}" if columns is None else "columns"
        what = "user, item, rating or usual titles of them" if columns is None else f"{columns}"
        hint = "columns=... says which they are, pandas.melt makes a wide table long"
        raise bad(where, f"{what}, with , ; tab | :: or spaces between ({hint})", lines[0])
    taken = [f"{a} = {titles[b] if titles else b}" for a, b in zip(USUAL, found[1], strict=False)]
    print(f"{where[6:-6]}: columns", *taken, "" if titles else "(there are no titles)")
    if titles:
        start = text.find(b"\n", start) + 1 or len(text)
    return text, start, *found


def _places(lines: list[str], columns, mark: str) -> tuple:
    """Return how many ratings `mark` finds in the lines, -1 without columns, and the layout."""
    rows = [next(csv.reader([each], delimiter=mark, skipinitialspace=True)) for each in lines]
    rows = [line.split() for line in lines] if mark == " " else rows
    titles = [cell.strip() for cell in rows[0]]
    plain = [re.sub(r"[\W_]", "", title.lower()).removesuffix("id") for title in titles]
    usual = [
        next((plain.index(name) for name in names.split() if plain.count(name) == 1), None)
        for names in USUAL.values()
    ]
    if columns is None and None not in usual[:3]:
        columns = [place for place in usual if place is not None]
    elif columns is None and len(titles) in (3, 4):
        columns = (0, 1, 2, 3)[: len(titles) if np.isfinite(_number(titles[2], mark)) else 0]
    columns = columns if isinstance(columns, tuple | list) else ()
    places = [titles.index(c) if titles.count(c) == 1 else c for c in columns]
    known = all(type(p) is int and 0 <= p < len(titles) for p in places)
    if not known or len(places) not in (3, 4) or len({*places}) < len(places):
        return -1, mark, places, len(titles), titles
    titled = places != [*columns] or any(a == b for a, b in zip(places, usual, strict=False))
    good = sum(np.isfinite(_number(row[places[2]], mark)) for row in rows if row[places[2] :])
    return good, mark, places, len(titles), titles if titled else []


def _number(text: str, mark: str) -> float:
    text = text.strip() if mark == "," else text.strip().replace(",", ".")
    return float(text) if NUMBER.fullmatch(text) else np.nan


def read(text, start, mark, places, width, where, duplicates) -> tuple:
    """Read a text from `start` on, two pieces of it at a time."""
    ends = [start]
    while ends[-1] < len(text) or len(ends) < 2:
        ends.append(text.find(b"\n", ends[-1] + PIECE) + 1 or len(text))
    with ThreadPoolExecutor(2) as pool:
        parts = pool.map(
            lambda part: _parse(text, *part, mark, places, width, where), pairwise(ends)
        )
        users, items, rated, *times = map(_joined, zip(*parts, strict=True))
        (users, user_names), (items, item_names) = pool.map(pd.factorize, (users, items))
    names = user_names.astype(str), item_names.astype(str)
    if not len(users):
        raise bad(where.removesuffix(", line"), "ratings", "none")
    found = [users, items, rated, _seconds(times[0]) if times else None]
    pairs = users * len(names[1]) + items
    ordered = np.sort(pairs)  # quicker than to look them up
    if (ordered[1:] == ordered[:-1]).any():
        pairs = pd.Series(pairs)
        if duplicates == "error":
            j = pairs.duplicated().to_numpy().argmax()
            i = pairs.eq(pairs[j]).to_numpy().argmax()
            lines = enumerate(text[start:].split(b"\n"), 1 + text.count(10, 0, start))
            lines = [k for k, line in lines if line.strip(b'" ' + mark.encode())]
            pair = f"{names[0][users[j]]}, {names[1][items[j]]}, as in line {lines[i]}"
            raise bad(f"{where} {lines[j]}", "a new pair (or duplicates='last' or 'mean')", pair)
        if duplicates == "mean":
            found[2] = pd.Series(rated).groupby(pairs).transform("mean").to_numpy()
        keep = ~pairs.duplicated(keep="last").to_numpy()
        found = [None if column is None else column[keep] for column in found]
    return *found, *names


def _joined(parts: tuple) -> np.ndarray:
    """Join arrays; integers become texts where others are texts."""
    if any(part.dtype == object for part in parts):
        parts = [part.astype(str).astype(object) for part in parts]
    return np.concatenate(parts)


def _odd(rows: bytes) -> bool:
    """Tell whether a number may be written in a way of its own: 007, +7, -0."""
    for k in range(0, len(rows), 1 << 18):  # little enough for the processor's cache
        b = np.frombuffer(rows[k : k + (1 << 18) + 2], np.uint8)
        a, zero, c = b[:-2], b[1:-1] == 48, b[2:]
        zero &= (a == 45) | ((a - 48 > 9) & (a != 46) & (c - 48 < 10))
        if zero.any() or (b == 43).any():
            return True
    return False


def _parse(text, start, end, mark, places, width, where) -> list[np.ndarray]:
    """Return users, items (as integers where that keeps them as written), ratings, times."""
    piece = text[start:end]
    options = {"sep": r"\s+" if mark == " " else mark, "skipinitialspace": b' "' in piece}
    options |= {"header": None, "index_col": False, "na_filter": False, "low_memory": False}
    options |= {"names": range(width + 1), "usecols": [*places, width], "skip_blank_lines": False}
    frame, kinds, new = [], {}, [*places[2 - 2 * _odd(piece) : 3], width]
    while new:
        kinds |= dict.fromkeys(new, "category")
        # A first line that keeps texts texts and has a cell too many, which pandas else drops.
        first = mark.join("?" if place in kinds else "0" for place in range(width + 1))
        try:
            frame = pd.read_csv(io.BytesIO(first.encode() + b"\n" + piece), dtype=kinds, **options)
        except pd.errors.ParserError:  # a quote that is open at the end
            break
        new = [p for p in places if p not in kinds and frame[p].dtype != int]

    def fault(line: int, what: str) -> ValueError:
        got = piece.split(b"\n")[line].decode()
        return bad(f"{where} {text.count(10, 0, start) + line + 1}", what, got)

    if b'"' in piece and len(frame) <= piece.count(b"\n") + (piece[-1:] != b"\n"):
        odd = (k for k, line in enumerate(piece.split(b"\n")) if line.count(b'"') % 2)
        raise fault(next(odd, 0), "quotes that close in their line")
    users, items, *times = (
        _mapped(frame[place], str.strip, object) if place in kinds else frame[place].to_numpy()[1:]
        for place in (*places[:2], *places[3:])
    )
    rated = _mapped(frame[places[2]], lambda cell: _number(cell, mark), float)
    more = _mapped(frame[width], str.strip, bool)
    wrong = (users == "") | (items == "") | more | ~np.isfinite(rated)
    if not wrong.any():
        return [users, items, rated, *times]
    for j in np.flatnonzero(wrong):  # the first that is not just blank
        if piece.split(b"\n")[j].strip(b'" ' + mark.encode()):
            raise fault(j, f"user, item and a finite number as rating, in at most {width} cells")
    return [column[~wrong] for column in (users, items, rated, *times)]


def _mapped(column: pd.Series, function, dtype) -> np.ndarray:
    """Apply it to each text of a column, without the first, once."""
    texts = [function(text) for text in column.cat.categories]
    return np.array(texts, dtype=dtype)[column.cat.codes.to_numpy()[1:]]


def _seconds(column: np.ndarray) -> np.ndarray | None:
    """Return whole numbers as they are, of ISO dates the seconds since 1970, else None."""
    if column.dtype == int:
        return column
    codes, texts = pd.factorize(column)
    found = pd.to_numeric(pd.Series(texts), errors="coerce")
    if found.isna().any():
        dates = pd.to_datetime(pd.Series(texts), utc=True, errors="coerce", format="ISO8601")
        found = (dates - pd.Timestamp(0, tz="UTC")).dt.total_seconds()
    return found.to_numpy().astype(int)[codes] if (found.abs() < 2**53).all() else None
