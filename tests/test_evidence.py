"""The evidence table: what holds passes, what doesn't raises, and make run can read it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.evidence import Evidence


@given(st.floats(allow_nan=True), st.floats(allow_nan=False))
def test_a_row_passes_exactly_when_its_bound_holds(measured, bound):
    evidence = Evidence("synthetic")
    assert evidence.at_most("a", measured, bound).passed is (measured <= bound)
    assert evidence.at_least("b", measured, bound).passed is (measured >= bound)


def test_nan_never_passes():
    evidence = Evidence("synthetic")
    assert not evidence.at_most("a", float("nan"), 1).passed
    assert not evidence.at_least("b", float("nan"), 1).passed
    assert not evidence.holds("c", float("nan")).passed
    assert not evidence.holds("d", False).passed


def test_a_passing_row_prints_no_number_and_a_failing_one_prints_both():
    evidence = Evidence("synthetic")
    assert repr(evidence.at_most("error", 1.25e-16, 1e-12)) == "✓ error"
    assert repr(evidence.at_most("error", 0.5, 0.25)) == "✗ error: measured 0.5, must be ≤ 0.25"
    assert repr(evidence.holds("sorted", True)) == "✓ sorted"


def test_a_cell_run_again_replaces_its_row():
    evidence = Evidence("synthetic")
    evidence.at_most("error", 2, 1)
    evidence.at_most("other", 0, 1)
    evidence.at_most("error", 0.5, 1)
    assert [(r.claim, r.passed) for r in evidence.rows] == [("other", True), ("error", True)]


def test_the_table_is_stored_where_make_run_reads_it(shown):
    evidence = Evidence("real MNIST")
    evidence.at_most("a < b & c", 0.123456, 1)
    evidence.holds("whole", True)
    evidence.show()
    ((data, metadata),) = shown
    assert metadata["evidence"] == {
        "data": "real MNIST",
        "rows": [
            {
                "claim": "a < b & c",
                "measured": 0.123456,
                "relation": "≤",
                "bound": 1.0,
                "passed": True,
            },
            {"claim": "whole", "measured": 1.0, "relation": "is", "bound": 1.0, "passed": True},
        ],
    }
    assert "a &lt; b &amp; c" in data["text/html"]
    assert data["text/plain"].splitlines()[1].split() == [
        "a",
        "<",
        "b",
        "&",
        "c",
        "0.123",
        "≤",
        "1",
        "✓",
    ]
    assert data["text/plain"].splitlines()[2].split() == ["whole", "yes", "yes", "✓"]


def test_a_failing_row_raises_after_the_table_is_shown(shown):
    evidence = Evidence("synthetic")
    evidence.at_most("fine", 0, 1)
    evidence.at_least("too small", 1, 2)
    with pytest.raises(AssertionError, match="too small: measured 1, must be ≥ 2") as error:
        evidence.show()
    assert "fine" not in str(error.value)
    assert len(shown) == 1


def test_no_rows_are_no_evidence(shown):
    with pytest.raises(AssertionError, match="no rows"):
        Evidence("synthetic").show()
