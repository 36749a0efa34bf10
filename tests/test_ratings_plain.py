"""Ratings: tables of plain numbers are read by pandas, all else cell by cell, with one result."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_ratings import as_named, own

from common.lines import plain_numbers, read
from common.ratings import ratings

PLAIN = "0,10,3.5,7\n-10,0,0.25,8\n1000,10,0,-9\n"


def quickly(text, mark=",", places=(0, 1, 2, 3), width=4, start=0):
    return plain_numbers(text.encode(), start, mark, [*places], width)


@pytest.mark.parametrize("mark", [",", ";", "\t", "|", "::", " "])
@pytest.mark.parametrize("places", [(0, 1, 2, 3), (1, 0, 2, 3), (0, 1, 2), (0, 1, 3)])
@pytest.mark.parametrize("title", ["", "u-1,i+,r e,t", '"u"."e",0,,0.12345'])
def test_plain_numbers_are_read_quickly(mark, places, title):
    head = (title + "\n").replace(",", mark) if title else ""
    text = head + PLAIN.replace(",", mark)
    found = quickly(text, mark, places, start=len(head))
    slowly = read(text.encode(), len(head), mark, [*places], 4, "")
    for a, b in zip(found, slowly, strict=True):
        assert (a is None) == (b is None)
        assert a is None or a.tolist() == b.tolist()
        assert a is None or (
            a.dtype.kind == b.dtype.kind and a.flags.writeable and a.flags.c_contiguous
        )


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("007,1,2,3", ("007", "1", 2.0)), ("7,007,2,3", ("7", "007", 2.0)),
        ("00,1,2,3", ("00", "1", 2.0)), ("-0,1,2,3", ("-0", "1", 2.0)),
        ("7,-0,2,3", ("7", "-0", 2.0)), ("-07,1,2,3", ("-07", "1", 2.0)),
        ("+7,1,2,3", ("+7", "1", 2.0)), ("7,+1,2,3", ("7", "+1", 2.0)),
        (" 07,1,2,3", ("07", "1", 2.0)), ("7,\t07,2,3", ("7", "07", 2.0)),
        ("7,\v07,2,3", ("7", "07", 2.0)), ('"7",1,2,3', ("7", "1", 2.0)),
        ("7,1.0,2,3", ("7", "1.0", 2.0)), ("1e3,1,2,3", ("1e3", "1", 2.0)),
        ("7,9223372036854775808,2,3", ("7", "9223372036854775808", 2.0)),
        ("7,1,2.5e0,3", ("7", "1", 2.5)), ("7,1,2E1,3", ("7", "1", 20.0)),
        ("7,1,0.30000000000000004,3", ("7", "1", 0.1 + 0.2)),
        ("7,1,12345678901234567891,3", ("7", "1", 12345678901234567891.0)),
        ("x,1,2,3", ("x", "1", 2.0)), ("٣,1,2,3", ("٣", "1", 2.0)),
        ("7,1,2,x", ("7", "1", 2.0)), ("7,1,2,", ("7", "1", 2.0)), ("7,1,2", ("7", "1", 2.0)),
        ("7,1,2,3,,", ("7", "1", 2.0)), ("\n7,1,2,3", ("7", "1", 2.0)),
        (",,,\n7,1,2,3", ("7", "1", 2.0)), ("7,1,2,3\n\n", ("7", "1", 2.0)),
    ],
)  # fmt: skip
@pytest.mark.parametrize("last", [True, False])
def test_what_is_not_plain_is_read_cell_by_cell(tmp_path, line, named, last):
    """Wherever it stands; the first and the last line have been special."""
    plain = "5,6,1,1\n" * 3
    rows = [f"{k},6,1.5,{k}\n" for k in range(100, 105)]
    text = "".join([*rows, line + "\n"] if last else [line + "\n", *rows])
    assert quickly(plain) is not None
    assert quickly(text) is None
    found = as_named(ratings(own(tmp_path, "user,item,rating,time\n" + text)))
    assert (found[-1] if last else found[0]) == named
    assert len(found) == 6


@pytest.mark.parametrize(
    "bad", ["nan", "inf", "-inf", "1_0", "0x10", "True", "1 0", "", "1e999", "-"]
)
def test_a_bad_rating_among_plain_numbers_is_named(tmp_path, bad):
    text = "user,item,rating\n" + "".join(f"{k},6,1.5\n" for k in range(100, 110)) + f"7,1,{bad}\n"
    with pytest.raises(ValueError, match="line 12: expected user, item and a finite number"):
        ratings(own(tmp_path, text + "8,1,2\n"))


@pytest.mark.parametrize("places", [(0, 1, 2), (0, 1, 2, 3)])
def test_a_short_line_does_not_make_up_for_a_long_one(tmp_path, places):
    text = "1,2,3,4\n1,3,4\n1,4,5,6,7\n2,2,3,4\n"
    assert quickly(text, places=places) is None
    with pytest.raises(ValueError, match=r"line 3: .*at most 4 cells.*1,4,5,6,7"):
        ratings(own(tmp_path, text), columns=places)


WHOLE = st.integers(-(2**63), 2**63 - 1) | st.integers(-20, 20)
RATED = st.decimals(-100, 100, places=3) | st.integers(-5, 5) | st.floats(-1e12, 1e12)
CELLS = st.tuples(WHOLE, WHOLE, RATED, WHOLE.filter(lambda n: abs(n) < 9 * 10**18))


@given(st.lists(CELLS, min_size=1, unique_by=lambda row: row[:2]), st.booleans(),
       st.sampled_from([",", "\t", ";", "|"]), st.sampled_from(["\n", "\r\n"]))  # fmt: skip
def test_both_ways_of_reading_agree(tmp_path_factory, rows, timed, mark, end):
    folder = tmp_path_factory.mktemp("own")
    cells = [[str(cell) for cell in (row if timed else row[:3])] for row in rows]
    titles = ["user", "item", "rating", "time"][: 4 if timed else 3]
    plain = end.join(mark.join(row) for row in [titles, *cells])
    quoted = end.join(mark.join(f'"{cell}"' for cell in row) for row in [titles, *cells])
    for a, b in zip(*(ratings(own(folder, text)) for text in (plain, quoted)), strict=True):
        assert (a is None) == (b is None)
        assert a is None or (a.dtype.kind == b.dtype.kind and np.array_equal(a, b))


@pytest.mark.parametrize("quote", ["", '"'])
@pytest.mark.parametrize("titles", ["", "user,item,rating,time\n"])
def test_a_pair_that_stands_twice_is_found_in_either_way(tmp_path, quote, titles):
    rows = [(k % 50, k // 50, k % 5, k) for k in range(1000)] + [(49, 19, 3, 5000)]
    text = titles + "".join(
        ",".join(f"{quote}{cell}{quote}" for cell in row) + "\n" for row in rows
    )
    path = own(tmp_path, text)
    again, first = 1001 + bool(titles), 1000 + bool(titles)
    with pytest.raises(ValueError, match=f"line {again}: .*49, 19, as in line {first}'"):
        ratings(path)
    last, mean = (ratings(path, duplicates=kind) for kind in ("last", "mean"))
    assert as_named(last)[-1] == ("49", "19", 3.0)
    assert as_named(mean)[-1] == ("49", "19", 3.5)
    assert len(last.ratings) == len(mean.ratings) == 1000
    assert last.times[-1] == mean.times[-1] == 5000
