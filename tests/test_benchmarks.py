"""Side-by-side timing: equal results make a comparison, unequal ones never a win."""

import numpy as np
from benchmarks.pairs import Comparison, compare


def test_both_are_called_in_turns_after_a_warm_up():
    calls = []
    result = compare(
        "work",
        lambda: calls.append("ours") or np.ones(2),
        lambda: calls.append("theirs") or np.ones(2),
        goal=1,
        pairs=3,
    )
    assert calls == ["ours", "theirs"] * 4
    assert len(result.ours) == len(result.theirs) == 3
    assert result.difference == 0


def test_the_ratio_is_that_of_the_best_times_and_is_held_to_the_goal():
    fast = Comparison("work", [2.0, 1.0], [5.0, 4.0], 1e-12, 1e-8, goal=0.25)
    assert fast.ratio == 0.25
    assert "reached" in str(fast)
    slow = Comparison("work", [2.0, 1.5], [5.0, 4.0], 1e-12, 1e-8, goal=0.25)
    assert "MISSED" in str(slow)


def test_results_that_differ_are_not_comparable_however_fast():
    result = compare("work", lambda: np.ones(2), lambda: np.array([1, 1.1]), goal=1e9, pairs=1)
    assert "NOT COMPARABLE" in str(result)
    nan = Comparison("work", [1.0], [9.0], float("nan"), 1e-8, goal=1)
    assert "NOT COMPARABLE" in str(nan)
