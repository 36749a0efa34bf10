"""Ratings: the films that ship with the project, and tables of one's own in every format."""

import bz2
import csv
import gzip
import io
import lzma
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from common.ratings import SHIPPED, ratings
from tools.pack_ratings import pack


def as_named(found) -> list[tuple[str, str, float]]:
    users, items = found.user_names[found.users], found.item_names[found.items]
    return list(zip(users.tolist(), items.tolist(), found.ratings.tolist(), strict=True))


def own(folder, text, encoding="utf-8", name="own.csv"):
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode(encoding))
    return path


# What ships -------------------------------------------------------------------------------------


def test_real_ratings_ship_with_the_project(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    found = ratings()
    assert found.shape == (610, 9724)
    assert found.users.dtype == found.items.dtype == found.times.dtype == np.int64
    assert len(found.users) == len(found.items) == len(found.ratings) == len(found.times) == 100_836
    assert sorted(set(found.ratings.tolist())) == [k / 2 for k in range(1, 11)]
    assert (found.times.min(), found.times.max()) == (828_124_615, 1_537_799_250)
    assert np.bincount(found.users).min() == 20
    assert np.bincount(found.items).min() == 1
    first = found.user_names[0], found.item_names[0], found.ratings[0], found.times[0]
    assert first == ("1", "Toy Story (1995)", 4.0, 964_982_703)
    assert "Misérables, Les (1995)" in found.item_names
    assert capsys.readouterr() == ("", "")


def test_titles_of_two_films_have_their_ids():
    names = ratings().item_names.tolist()
    assert len(set(names)) == len(names)
    assert {"Emma (1996) [838]", "Emma (1996) [26958]"} <= set(names)
    assert sum(name.endswith("]") for name in names) == 10


def test_the_licence_of_what_ships_lies_beside_it():
    text = (SHIPPED.parent / "README.txt").read_text(encoding="utf-8")
    assert "redistribute the data set" in text
    assert "10.1145/2827872" in text
    assert SHIPPED.stat().st_size < 460_000


def test_what_ships_can_be_packed_again(tmp_path, monkeypatch):
    path = tmp_path / "ml.zip"
    path.write_bytes(zipped(SMALL))
    (tmp_path / "packed.npz").write_bytes(pack(path))
    assert pack(path) == pack(path)
    monkeypatch.setattr("common.ratings.SHIPPED", tmp_path / "packed.npz")
    for a, b in zip(ratings(), ratings(path), strict=True):
        assert a.tolist() == b.tolist()
        assert a.dtype.kind == b.dtype.kind


# MovieLens' archives ----------------------------------------------------------------------------

MINI = [("7", "3", "5"), ("2", "1", "3"), ("7", "1", "1"), ("2", "2", "4")]  # user, item, rating
TITLES = {"1": "Café, Le (1995)", "2": "Twins (1990)", "3": "Twins (1990)"}
NAMED = [
    ("7", "Twins (1990) [3]", 5.0), ("2", "Café, Le (1995)", 3.0),
    ("7", "Café, Le (1995)", 1.0), ("2", "Twins (1990) [2]", 4.0),
]  # fmt: skip
SMALL = {
    "ml-latest/README.txt": b"of MovieLens",
    "ml-latest/links.csv": b"movieId,imdbId\n",
    "ml-latest/ratings.csv": b"userId,movieId,rating,timestamp\r\n"
    + "".join(f"{','.join(row)},881250949\r\n" for row in MINI).encode(),
    "ml-latest/movies.csv": b"movieId,title,genres\r\n"
    + "".join(f'{i},"{title}",Drama|Comedy\r\n' for i, title in TITLES.items()).encode(),
}


def lines(mark, rows, encoding="utf-8"):
    return "".join(mark.join(row) + "\n" for row in rows).encode(encoding)


HUNDRED = {
    "ml-100k/u.data": lines("\t", [(*row, "881250949") for row in MINI]),
    "ml-100k/u.item": lines("|", [(i, t, "", "url") for i, t in TITLES.items()], "latin-1"),
}
MILLION = {
    "ml-1m/ratings.dat": lines("::", [(*row, "978300760") for row in MINI]),
    "ml-1m/movies.dat": lines("::", [(i, t, "Drama") for i, t in TITLES.items()], "latin-1"),
}


def zipped(files) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return packed.getvalue()


@pytest.mark.parametrize("files", [SMALL, HUNDRED, MILLION])
def test_archives_of_movielens_are_known_by_what_is_in_them(tmp_path, files):
    found = ratings(own(tmp_path, zipped(files), name="renamed.bin"))
    assert as_named(found) == NAMED
    assert set(found.times.tolist()) <= {881_250_949, 978_300_760}
    assert found.shape == (2, 3)


def test_titles_with_quotes_and_in_either_encoding(tmp_path):
    titles = {"1": '"Great Café" Cats', "2": "Twins", "3": "x"}
    for encoding in ("utf-8", "latin-1"):
        rows = lines("::", [(i, t, "Drama") for i, t in titles.items()], encoding)
        path = own(tmp_path, zipped(MILLION | {"ml-1m/movies.dat": rows}))
        assert ratings(path).item_names.tolist() == ["x", '"Great Café" Cats', "Twins"]


# Tables of one's own ----------------------------------------------------------------------------

OWN = [("ann", "tea", 4.5), ("7", "a, b", -1.0), ("ann", "7", 0.0)]


@pytest.mark.parametrize(
    "text",
    [
        'ann,tea,4.5\n7,"a, b",-1\nann,7,0\n',
        'user,item,rating\nann,tea,4.5\n7,"a, b",-1\nann,7,0',
        'user,item,rating\rann,tea,4.5\r7,"a, b",-1\rann,7,0\r',
        "userId;movieId;rating;timestamp\r\nann;tea;4.5;1\r\n7;a, b;-1;2\r\n\r\nann;7;0;3\r\n",
        "Rating\tItem ID\tmood\tUser ID\n4.5\ttea\t\tann\n-1\ta, b\tx\t7\n0\t7\t\tann\n",
        "\n \n ann | tea | 4.5 \n7|a, b|-1e0\n \nann|7|0|\n",
        "reviewerID::asin::overall\nann::tea::4.5\n7::a, b::-1\nann::7::0\n",
        "ann;tea;4,5\n7;a, b;-1\nann;7;0,0\n",
        'ann,tea,4.5,\n7,"a, b",-1,,\nann,7,0,,,,\n,,,\n,,\n\n',
        'user,item,rating,"of 5; stars; all"\nann,tea,4.5,x\n7,"a, b",-1,x\nann,7,0,x\n',
        'user, item, rating\nann, tea, 4.5\n7, "a, b", -1\nann, 7, 0\n',
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_own_ratings_of_several_shapes(tmp_path, text, encoding):
    assert as_named(ratings(own(tmp_path, text, encoding))) == OWN


@pytest.mark.parametrize(
    "text", ["ann tea 4.5\n7 x -1\n", "user  item rating \nann\ttea  4,5\n 7 x\t-1"]
)
def test_spaces_may_separate(tmp_path, text):
    assert as_named(ratings(own(tmp_path, text))) == [("ann", "tea", 4.5), ("7", "x", -1.0)]


@pytest.mark.parametrize("packed", [gzip.compress, bz2.compress, lzma.compress])
@pytest.mark.parametrize("name", ["own.csv.gz", "own.csv"])
def test_packed_tables_are_known_by_how_they_start(tmp_path, packed, name):
    assert as_named(ratings(own(tmp_path, packed(b"ann,tea,4.5\n"), name=name))) == OWN[:1]
    assert as_named(ratings(own(tmp_path, b"ann,tea,4.5\n", name="own.csv.gz"))) == OWN[:1]


def test_a_zip_of_one_table(tmp_path):
    files = {"all/": b"", "all/own.csv": b"ann,tea,4.5\n", "__MACOSX/all/._own.csv": b"\0"}
    assert as_named(ratings(own(tmp_path, zipped(files), name="own.zip"))) == OWN[:1]


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "utf-16", "utf-16-le", "utf-8"])
def test_other_encodings_by_name(tmp_path, encoding):
    path = own(tmp_path, "benutzer;größe;note\nJürgen;Café;3\n", encoding)
    found = ratings(path, columns=("benutzer", "größe", "note"), encoding=encoding)
    assert as_named(found) == [("Jürgen", "Café", 3.0)]
    marked = own(tmp_path, "user,item,rating\nü,Café,3\n", "utf-8-sig")
    assert as_named(ratings(marked, encoding="utf-8")) == [("ü", "Café", 3.0)]


@pytest.mark.parametrize(
    "titles",
    [
        "userId,movieId,rating,timestamp", "user_id,book_id,rating,time",
        "reviewerID,asin,overall,unixReviewTime", "User-ID,ISBN,Book-Rating,Date",
        "reader,book,stars,time",
        "user,product,stars,x", "customer id,title,score,x", "USER,Film,Value,x",
    ],
)  # fmt: skip
def test_usual_titles_are_known(tmp_path, titles, capsys):
    rows = [["a", "b", "3", "881250949"], ["c", "b", "4", "881250950"]]
    order = [3, 2, 0, 1]
    mixed = [[row[k] for k in order] for row in [titles.split(","), *rows]]
    found = ratings(own(tmp_path, lines(",", mixed)))
    assert as_named(found) == [("a", "b", 3.0), ("c", "b", 4.0)]
    times = None if titles.endswith("x") else [881250949, 881250950]
    assert found.times is times if times is None else found.times.tolist() == times
    said = capsys.readouterr().out
    assert said.count("\n") == 1
    for title in titles.removesuffix(",x").split(","):
        assert title in said


def test_of_several_usual_titles_the_first_counts(tmp_path):
    text = "title,movieId,userId,score,rating\nHeat,6,ann,0.1,4\nHeat,7,ann,0.2,5\n"
    assert as_named(ratings(own(tmp_path, text))) == [("ann", "6", 4.0), ("ann", "7", 5.0)]


@pytest.mark.parametrize("columns", [("who", "what", "stars"), (3, 1, 0), [3, 1, 0], (3, 1, 0, 2)])
def test_columns_of_own_ratings_can_be_named_or_counted(tmp_path, columns):
    text = 'stars,what,when,who\n4.5,tea,1,ann\n-1,"a, b",2,7\n0,7,3,ann\n'
    found = ratings(str(own(tmp_path, text)), columns=columns)
    assert as_named(found) == OWN
    assert found.times is None if len(columns) == 3 else found.times.tolist() == [1, 2, 3]
    if columns[0] == 3:
        headless = own(tmp_path, text.split("\n", 1)[1])
        assert as_named(ratings(headless, columns=columns)) == OWN


def test_columns_of_any_wide_table_can_be_counted(tmp_path):
    text = "x,ann,5,6,7,8,tea,4.5\ny,7,5,6,7,8,milk,1\n"
    found = ratings(own(tmp_path, text), columns=(1, 6, 7))
    assert as_named(found) == [("ann", "tea", 4.5), ("7", "milk", 1.0)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ann,tea,4\n", "user = 0 item = 1 rating = 2 (there are no titles"),
        ("196\t242\t3\t881250949\n", "user = 0 item = 1 rating = 2 time = 3 (there are no titles"),
        ("rating,item,user\n4,tea,ann\n", "user = user item = item rating = rating \n"),
    ],
)
def test_what_was_taken_as_what_is_said_in_one_line(tmp_path, text, said, capsys):
    path = own(tmp_path, text)
    ratings(path)
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    assert str(path) in out
    assert said in out


@pytest.mark.parametrize(
    ("cells", "times"),
    [
        (["881250949", "881250950"], [881250949, 881250950]),
        (["-1", "2"], [-1, 2]),
        (["1700000000123456789", "5"], [1700000000123456789, 5]),
        (["1970-01-01T00:00:05Z", "5"], None),
        (["99999999999999999999", "5"], None),
        (["", "5"], None),
        (["inf", "5"], None),
        (["1e30", "5"], None),
    ],
)
def test_times_are_whole_numbers_or_none(tmp_path, cells, times):
    text = f"user,item,rating,date\na,b,1,{cells[0]}\n\na,c,2,{cells[1]}\n"
    found = ratings(own(tmp_path, text)).times
    assert found is None if times is None else found.tolist() == times
    assert times is None or found.dtype == np.int64


@pytest.mark.parametrize(
    "ids",
    [
        ["7", "007", "07"], ["7", "+7", "-7"], ["0", "-0", "00"], ["1", "1.0", "1e0"],
        ["9223372036854775807", "9223372036854775808", "18446744073709551616"],
        ["1_0", "10", "0x10"], ["True", "true", "1"], ["nan", "NA", "None"], ["inf", "-", "٣"],
        ["-5", "5", "-50"], ["0.5", "0.50", ".5"], ["a", "A", "á"],
    ],
)  # fmt: skip
@pytest.mark.parametrize("mark", [",", ";", "\t", "|", "::", " "])
def test_ids_that_differ_as_text_stay_different(tmp_path, ids, mark):
    rows = [["user", "item", "rating"], *([a, b, "1"] for a in ids for b in ids)]
    found = ratings(own(tmp_path, lines(mark, rows)))
    assert as_named(found) == [(a, b, 1.0) for a in ids for b in ids]


def test_whole_ids_of_a_long_table_keep_their_text(tmp_path):
    """Also where only one line, far down, tells that they are texts."""
    rows = [[str(k), str(k % 7), "3.5"] for k in range(60_000)]
    for last in (["60000", "7", "3.5"], ["x", "7", "3.5"], ["007", "7", "3.5"]):
        found = ratings(own(tmp_path, lines(",", [*rows, last])))
        assert as_named(found)[-2:] == [("59999", "2", 3.5), (last[0], "7", 3.5)]
        assert found.shape == (60_001, 8)


@pytest.mark.parametrize(("kind", "rating"), [("last", [5.0, 2.0]), ("mean", [4.0, 2.0])])
def test_duplicates_on_request(tmp_path, kind, rating):
    text = "user,item,rating,time\nann,tea,3,1\nbob,tea,2,2\nann,tea,5,3\n"
    found = ratings(own(tmp_path, text), duplicates=kind)
    assert sorted(as_named(found)) == [("ann", "tea", rating[0]), ("bob", "tea", rating[1])]
    assert sorted(found.times.tolist()) == [2, 3]


def test_home_is_expanded(tmp_path, monkeypatch):
    own(tmp_path, "ann,tea,4.5\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert as_named(ratings("~/own.csv")) == as_named(ratings(Path("~/own.csv"))) == OWN[:1]


# DataFrames -------------------------------------------------------------------------------------

FRAME = pd.DataFrame(
    {"stars": [4.5, -1, 0], "text": ["a\nb", 'c"', "d,\r\n"], "user": ["ann", 7, "ann"],
     "item": ["tea", "a, b", "7"]}
)  # fmt: skip


@pytest.mark.parametrize(
    ("frame", "columns"),
    [
        (FRAME, None),
        (FRAME, (2, 3, 0)),
        (FRAME.rename(columns={"user": "who"}), ("who", "item", "stars")),
        (FRAME.astype({"item": "category", "stars": "category"}), None),
        (FRAME.astype({"stars": "Float64", "item": "string"}), None),
        (FRAME.astype({"stars": object}).set_index([[5, 5, 5]]), None),
        (FRAME[["user", "item", "stars"]].set_axis(range(3), axis=1), None),
    ],
)
def test_a_dataframe_is_read_as_a_table(frame, columns, capsys):
    before = frame.copy()
    assert as_named(ratings(frame, columns=columns)) == OWN
    assert "DataFrame" in capsys.readouterr().out
    pd.testing.assert_frame_equal(frame, before)


# Whatever is written comes back ------------------------------------------------------------------

NAMES = st.text("az0179äß漢 -+.,;|:'\"/\\%_", min_size=1, max_size=6).map(str.strip).filter(bool)
TABLES = st.dictionaries(
    st.tuples(NAMES | st.integers().map(str), NAMES | st.integers().map(str)),
    st.floats(allow_nan=False, allow_infinity=False) | st.integers(0, 10).map(float),
    min_size=1,
)


@given(TABLES, st.sampled_from(",;\t|"), st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
       st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]), st.sampled_from(["\n", "\r\n"]),
       st.sampled_from([bytes, gzip.compress, bz2.compress]), st.booleans())  # fmt: skip
def test_own_ratings_come_back_as_written(
    tmp_path_factory, table, mark, quoting, encoding, end, packed, comma
):
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=mark, quoting=quoting, lineterminator=end)
    writer.writerow(["user", "item", "rating"])
    for (user, item), rating in table.items():
        cell = repr(rating).replace(".", ",") if comma and mark != "," else rating
        writer.writerow([user, item, cell])
    path = tmp_path_factory.mktemp("own") / "own.csv"
    path.write_bytes(packed(text.getvalue().encode(encoding)))
    found = ratings(path, encoding=encoding)
    assert as_named(found) == [(u, i, r) for (u, i), r in table.items()]
    assert len(set(found.user_names)) == found.shape[0]
    assert len(set(found.item_names)) == found.shape[1]


@given(TABLES, st.sampled_from(["::", " ", "  "]), st.booleans())
def test_what_colons_or_spaces_separate_comes_back(tmp_path_factory, table, mark, titled):
    rows = [(u.replace(" ", "_"), i.replace(" ", "_"), repr(r)) for (u, i), r in table.items()]
    rows = [row for row in rows if ":" not in "".join(row) and '"' not in "".join(row)]
    assume(rows and len({row[:2] for row in rows}) == len(rows))
    rows = [["user", "item", "rating"], *rows]
    path = tmp_path_factory.mktemp("own") / "own.txt"
    path.write_bytes(lines(mark, rows))
    assert as_named(ratings(path)) == [(u, i, float(r)) for u, i, r in rows[1:]]


@given(TABLES)
def test_dataframes_come_back(table):
    frame = pd.DataFrame([(u, i, r) for (u, i), r in table.items()])
    assert as_named(ratings(frame, columns=(0, 1, 2))) == [(u, i, r) for (u, i), r in table.items()]
