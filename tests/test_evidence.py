"""The evidence table: what holds passes, what doesn't raises, and make run can read it."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.evidence import Evidence

NAN = float("nan")
KINDS = pytest.mark.parametrize("kind", ["truth", "finding"])


@given(
    st.floats(allow_nan=False, allow_infinity=False),
    st.floats(allow_nan=False),
    st.sampled_from(["truth", "finding"]),
)
def test_a_row_passes_exactly_when_its_bound_holds(measured, bound, kind):
    record = getattr(Evidence("synthetic"), kind)
    assert record("a", measured, bound).passed is (measured <= bound)
    assert record("b", measured, at_most=bound).passed is (measured <= bound)
    assert record("c", measured, at_least=bound).passed is (measured >= bound)
    assert record("d", measured).passed is (measured == 1)


@given(st.floats(allow_nan=True), st.floats(allow_nan=False))
def test_the_short_names_are_truths(measured, bound):
    evidence = Evidence("synthetic")
    for row, same in [
        (evidence.at_most("a", measured, bound), evidence.truth("a", measured, at_most=bound)),
        (evidence.holds("c", measured == bound), evidence.truth("c", measured == bound)),
    ]:
        assert row == same
        assert row.kind == "truth"


@KINDS
@pytest.mark.parametrize("bound", [{}, {"at_most": 1}, {"at_least": 1}, {"at_most": NAN}])
def test_nan_never_passes(kind, bound):
    assert getattr(Evidence("synthetic"), kind)("a", NAN, **bound).passed is False
    assert getattr(Evidence("synthetic"), kind)("a", 1, at_least=NAN).passed is False


@pytest.mark.parametrize("number", [np.float32, np.float64, np.array])
def test_numbers_of_numpy_give_a_plain_verdict(number):
    row = Evidence("synthetic").truth("a", number(0.25), number(0.5))
    assert row.passed is True
    assert (row.measured, row.bound) == ("0.25", "≤ 0.5")
    assert Evidence("synthetic").holds("a", np.bool_(True)).passed is True


@given(st.floats(), st.floats(allow_nan=False), st.floats(allow_nan=False))
def test_two_bounds_hold_together(measured, low, high):
    row = Evidence("synthetic").truth("a", measured, high, at_least=low)
    assert row.passed is (math.isfinite(measured) and low <= measured <= high)
    assert row.bound == f"≤ {high:g}, ≥ {low:g}"


def test_a_passing_row_prints_no_number_and_a_failing_one_prints_both():
    evidence = Evidence("synthetic")
    assert repr(evidence.truth("error", 1.25e-16, 1e-12)) == "✓ error"
    assert repr(evidence.truth("error", 0.5, 0.25)) == "✗ error: measured 0.5, must be ≤ 0.25"
    assert repr(evidence.finding("share", 0, at_least=1)) == "✗ share: measured 0, must be ≥ 1"
    assert repr(evidence.truth("sorted", True)) == "✓ sorted"
    assert repr(evidence.truth("sorted", False)) == "✗ sorted: measured no, must be yes"


def test_a_finding_on_own_data_says_what_was_seen_where():
    row = Evidence("mine.csv", own=True).finding("share", 0.3, at_least=0.5)
    assert repr(row) == "– share: measured 0.3, on the built-in data ≥ 0.5"


def test_a_cell_run_again_replaces_its_row():
    evidence = Evidence("synthetic")
    evidence.truth("error", 2, 1)
    evidence.truth("other", 0, 1)
    evidence.finding("error", 0.5, 1)
    assert [(r.claim, r.passed) for r in evidence.rows] == [("other", True), ("error", True)]


def test_the_table_is_stored_where_make_run_reads_it(shown):
    evidence = Evidence("real MNIST")
    evidence.truth("a < b & c", 0.123456, 1)
    evidence.finding("whole", True)
    evidence.show()
    ((data, metadata),) = shown
    first = {"claim": "a < b & c", "kind": "truth", "measured": "0.1235", "bound": "≤ 1"}
    second = {"claim": "whole", "kind": "finding", "measured": "yes", "bound": "yes"}
    assert metadata["evidence"] == {
        "data": "real MNIST",
        "rows": [first | {"passed": True}, second | {"passed": True}],
    }
    assert "a &lt; b &amp; c" in data["text/html"]
    lines = [line.split() for line in data["text/plain"].splitlines()]
    assert lines[0] == ["claim", "kind", "measured", "bound", "pass"]
    assert lines[2] == ["a", "<", "b", "&", "c", "truth", "0.1235", "≤", "1", "✓"]
    assert lines[3] == ["whole", "finding", "yes", "yes", "✓"]


@KINDS
def test_a_failing_row_raises_after_the_table_is_shown(shown, kind):
    evidence = Evidence("synthetic")
    evidence.truth("fine", 0, 1)
    getattr(evidence, kind)("too small", 1, at_least=2)
    with pytest.raises(AssertionError, match="too small: measured 1, must be ≥ 2") as error:
        evidence.show()
    assert "fine" not in str(error.value)
    assert len(shown) == 1


@pytest.mark.parametrize("measured", [0.1, 5, NAN, math.inf])
def test_on_own_data_a_finding_has_no_verdict_and_never_raises(shown, measured):
    evidence = Evidence("mine.csv", own=True)
    evidence.truth("fine", 0, 1)
    evidence.finding("over", measured, 1)
    evidence.finding("under", measured, at_least=1)
    evidence.finding("so", measured)
    evidence.show()
    ((data, metadata),) = shown
    assert [r["passed"] for r in metadata["evidence"]["rows"]] == [True, None, None, None]
    assert [line[-1] for line in data["text/plain"].splitlines()[2:]] == ["✓", "–", "–", "–"]
    json.dumps(metadata, allow_nan=False)  # as a notebook is stored


def test_on_own_data_a_truth_still_raises(shown):
    evidence = Evidence("mine.csv", own=True)
    evidence.finding("seen elsewhere", 5, 1)
    evidence.truth("gradient", 5, 1)
    with pytest.raises(AssertionError, match=r"^✗ gradient: measured 5, must be ≤ 1$"):
        evidence.show()


def test_no_rows_are_no_evidence(shown):
    with pytest.raises(AssertionError, match="no rows"):
        Evidence("synthetic").show()


@pytest.mark.parametrize("measured", [-math.inf, math.inf, math.nan])
def test_what_is_not_finite_passes_no_bound(measured):
    evidence = Evidence("synthetic")
    assert not evidence.truth("above", measured, at_least=1).passed
    assert not evidence.truth("below", measured, 1).passed


def test_a_row_that_fails_by_little_shows_by_how_much():
    assert "measured 1.0000001, must be ≤ 1" in repr(Evidence("synthetic").truth("c", 1 + 1e-7, 1))
