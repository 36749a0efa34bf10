"""Ratings: what is wrong with a table is said with its file, its line and what was expected."""

import bz2
import gzip
import lzma

import numpy as np
import pandas as pd
import pytest
from test_ratings import HUNDRED, MILLION, MINI, SMALL, as_named, lines, own, zipped

from common.ratings import ratings


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "line 1: expected user, item, rating"),
        ("\n \n", "line 3: expected user, item, rating"),
        ("user,item,rating\n", ": expected ratings, got"),
        ("ann,tea\n", "line 1: .*, ; tab .*'ann,tea'"),
        ("ann,tea,4\nbob,tea\n", "line 2: .*'bob,tea'"),
        ("ann,tea,4\n\nbob,tea,good\n", "line 3: .*finite.*'bob,tea,good'"),
        ("user,item,rating\r\n\r\nann,tea,4\r\nbob,tea,good\r\n", "line 4: .*'bob,tea,good'"),
        ("ann,tea,4\nbob,tea,\n", "line 2: .*finite"),
        ("ann,tea,4\nbob,tea,nan\n", "line 2: .*finite"),
        ("ann,tea,NaN\n", "line 1: .*'ann,tea,NaN'"),
        ("ann,tea,4\nbob,tea,-inf\n", "line 2: .*finite"),
        ("ann,tea,4\nbob,tea,1e999\n", "line 2: .*finite"),
        ("ann,tea,4\nbob,tea,1_0\n", "line 2: .*'bob,tea,1_0'"),
        ("1,2,1_0\n3,4,5\n", "line 1: .*'1,2,1_0'"),
        ("ann,tea,4\nbob,tea,True\n", "line 2: .*finite"),
        ("ann,tea,4\nbob,tea,0x10\n", "line 2: .*finite"),
        ("ann,tea,4\nbob,tea,1 0\n", "line 2: .*finite"),
        ("ann;tea;4\nbob;tea;1.000,5\n", "line 2: .*finite"),
        ("ann;tea;4\nbob;tea;1,000,000\n", "line 2: .*finite"),
        ("ann,tea,4\n,tea,4\n", "line 2: expected user, item"),
        ("ann,tea,4\nbob, ,4\n", "line 2: expected user, item"),
        ("1,2,4\n2,,4\n", "line 2: expected user, item"),
        ('ann,tea,4\nbob,"",4\n', "line 2: expected user, item"),
        ("4,ann,x\n", "line 1: .*columns="),
        ("a,b,c\nann,tea,4\n", "line 1: .*columns="),
        ("user,user_id,rating\nann,tea,4\n", "line 1: .*columns="),
        ("ann,tea,4\nbob,tea,4\nann,tea,5\n", "line 3: .*new pair.*ann, tea, as in line 1"),
        ("user,item,rating\n\n1,2,4\n\n3,2,4\n,,\n1,2,4\n", "line 7: .*1, 2, as in line 3"),
        ('ann,tea,4\nann,"tea" ,5\n', "line 2: .*as in line 1"),
        # A cell too many would shift what follows, as in "Monsters, Inc.".
        ("rating,item,user\n4,Monsters, Inc.,ann\n", "line 2: .*at most 3 cells.*Inc"),
        ("ann,Catch,4\nbob,Catch, 22,4\n", "line 2: .*at most 3 cells"),
        ("1,2,4\n3,4,5,6\n", "line 2: .*at most 3 cells"),
        # A stray quote would swallow the next line.
        ('ann,tea,4\nbob,"tea,4\n', "line 2: expected .*close in.*bob"),
        ('user,item,rating\nann,"tea,4\nbob,tea",5\n\n', "line 2: expected .*close in.*ann"),
        ('user,item,rating,note\nann,tea,4,"fine\nbob,tea,5,bad"\n', "line 2: expected .*close in"),
        ('1,2,4\n3,"4,5\n6,"7,5\n', "line 2: expected .*close in"),
        # A wide table, as Jester's: a person a line, and a column for each joke.
        (lines(",", [[str(k / 4) for k in range(101)]] * 2), "line 1: .*columns=.*pandas.melt"),
        ("user,Heat,Alien,Emma\nann,4,5,3\n", "line 1: .*pandas.melt"),
        ("ann::tea::good\n", "line 1: .*'ann::tea::good'"),
        ("user::item::rating\nann::tea::good\n", "line 2: .*'ann::tea::good'"),
        ("a b 4\nc d\n", "line 2: .*'c d'"),
        (b"ann,tea,4\nbob,t\0a,4\n", "line 2: expected text in utf-8-sig"),
        ("ann,tea,4\nbob,té,4\n".encode("latin-1"), "line 2: .*encoding=.*xe9"),
        ("ann,tea,4\n".encode("utf-16"), "line 1: .*encoding="),
        (b"PAR1\x15\x04\x15\xe0\xff", "pandas.read_parquet"),
    ],
)
def test_bad_own_ratings_are_refused_by_line(tmp_path, text, why):
    with pytest.raises(ValueError, match=rf"(?s)path: .*own\.csv.*{why}"):
        ratings(own(tmp_path, text))


@pytest.mark.parametrize(
    ("text", "line"), [("{},7,x\n", 60_001), ("{},,3\n", 60_001), ("x,7\n", 60_001)]
)
def test_the_line_is_right_far_down(tmp_path, text, line):
    rows = [f"{k},{k % 7},3.5\n" for k in range(60_000)]
    path = own(tmp_path, "".join(rows) + text.format(60_000) + "".join(rows))
    with pytest.raises(ValueError, match=f"line {line}: "):
        ratings(path)
    with pytest.raises(ValueError, match=r"line 60003: .*0, 0, as in line 2"):
        ratings(own(tmp_path, "user,item,rating\n" + "".join(rows) + "\n" + "".join(rows)))


def test_a_bad_first_line_is_no_title(tmp_path):
    for bad in ("3.5*", "nan", "N/A", "", "?", "1_0"):
        path = own(tmp_path, f"ann,tea,{bad}\nbob,tea,4\n")
        with pytest.raises(ValueError, match="line 1: "):
            ratings(path, columns=(0, 1, 2))


def test_a_lone_quote_within_a_cell_is_a_letter(tmp_path):
    found = ratings(own(tmp_path, 'ann\t12" vinyl\t4\nbob\t12" vinyl\t5\n'))
    assert as_named(found) == [("ann", '12" vinyl', 4.0), ("bob", '12" vinyl', 5.0)]


@pytest.mark.parametrize(
    "columns",
    [
        (0, 1), (0, 1, 1), (0, 1, -1), (0, 1, 2.0), ("a", "b", 2), "abc", 3, (0, 1, True),
        (0, 1, 3), ("user", "item", "x"), ("user", "item", "item"), (), (0, 1, 2, 3, 4),
        ("user", "user", "rating"), (0, 1, None), {"user": 0},
    ],
)  # fmt: skip
def test_bad_columns_are_refused(tmp_path, columns):
    with pytest.raises(ValueError, match=r"^columns: expected .*got 'user,item,rating'"):
        ratings(own(tmp_path, "user,item,rating\nann,tea,4\n"), columns=columns)


def test_a_title_that_stands_twice_is_not_guessed(tmp_path):
    path = own(tmp_path, "who,what,stars,stars\nann,tea,4,1\n")
    with pytest.raises(ValueError, match=r"^columns: "):
        ratings(path, columns=("who", "what", "stars"))


def test_other_arguments_are_checked(tmp_path):
    path = own(tmp_path, "ann,té,4\n")
    with pytest.raises(ValueError, match=r"^duplicates: expected 'error', 'last' or 'mean'"):
        ratings(path, duplicates="first")
    for encoding in ("no-such", "rot13", None, 3):
        with pytest.raises(ValueError, match=f"expected text in {encoding}"):
            ratings(path, encoding=encoding)
    for nothing in (3, None, b"x", ["a"]):
        with pytest.raises(ValueError, match=r"^path: expected a table to read"):
            ratings(nothing, columns=(0, 1, 2))


def test_files_that_are_none(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"path: .*nowhere"):
        ratings(tmp_path / "nowhere.csv")
    with pytest.raises(ValueError, match=r"path: .*directory|path: .*denied"):
        ratings(tmp_path)


@pytest.mark.parametrize("packed", [gzip.compress, bz2.compress, lzma.compress])
def test_damaged_packed_files_are_named(tmp_path, packed):
    whole = packed(lines(",", [[f"{k}", "tea", "4"] for k in range(999)]))
    for content in (whole[:-9], whole[:20] + b"\xff" * 9 + whole[29:], whole[:9]):
        with pytest.raises(ValueError, match=r"path: .*own\.csv"):
            ratings(own(tmp_path, content))


def encrypted(content: bytes) -> bytes:
    """Set the bit that says so in both headers of a zip of one file."""
    found = bytearray(content)
    found[6] |= 1
    found[found.index(b"PK\1\2") + 8] |= 1
    return bytes(found)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (zipped(HUNDRED)[:-30], "own.zip"),
        (encrypted(zipped({"own.csv": b"ann,tea,4\n"})), "encrypted"),
        (zipped({"a.csv": b"ann,tea,4\n", "b.csv": b"ann,tea,4\n"}), "a.csv.*b.csv"),
        (zipped({"xl/workbook.xml": b"", "x.xml": b""}), "pandas.read_excel"),
        (zipped({}), "own.zip"),
        (zipped({k: v for k, v in SMALL.items() if "movies" not in k}), "ratings.csv"),
        (zipped(HUNDRED | {"ml-100k/u.data": b""}), "u.data, line 1: "),
        (zipped(MILLION | {"ml-1m/ratings.dat": b"1::1::5::1\n1::1::x::1\n"}), "line 2: .*1::x"),
        (zipped(HUNDRED | {"ml-100k/u.data": lines("\t", [*MINI, "19x"])}), "u.data, line 5: "),
        (
            zipped(HUNDRED | {"ml-100k/u.item": b"1|Emma\n2|Heat\n"}),
            "title of each item.*none of 3",
        ),
    ],
)
def test_archives_that_hold_no_table_are_refused(tmp_path, content, why):
    with pytest.raises(ValueError, match=rf"(?s)^path: .*{why}"):
        ratings(own(tmp_path, content, name="own.zip"))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"rating": [4.0, np.nan]}, "line 3"), ({"rating": [4.0, np.inf]}, "line 3"),
        ({"rating": [True, False]}, "line 2"), ({"rating": ["4", "good"]}, "line 3"),
        ({"user": [1.0, np.nan]}, "line 3"), ({"item": ["a", None]}, "line 3"),
        ({"item": ["a", " "]}, "line 3"), ({"user": [1, 1], "item": [2, 2]}, "line 3.*line 2"),
        ({"rating": pd.array([1, None], "Int64")}, "line 3"),
        ({"item": pd.Categorical(["a", None])}, "line 3"),
    ],
)  # fmt: skip
def test_bad_dataframes_are_refused_by_line(change, why):
    frame = pd.DataFrame({"user": [1, 2], "item": ["a", "b"], "rating": [4, 5]} | change)
    with pytest.raises(ValueError, match=rf"path: the DataFrame as CSV, {why}"):
        ratings(frame)


def test_empty_dataframes_are_refused():
    for frame in (pd.DataFrame(), pd.DataFrame({"user": [], "item": [], "rating": []})):
        with pytest.raises(ValueError, match="path: the DataFrame"):
            ratings(frame)
