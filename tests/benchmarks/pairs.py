"""Time two ways to do the same work side by side, as ratios within one run."""

import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Comparison:
    """Ours against a peer: seconds of each of the alternating pairs, and how well they agree."""

    name: str
    ours: list[float]
    theirs: list[float]
    difference: float  # largest relative difference of the two results
    tolerance: float
    goal: float  # what the ratio of the best times should not exceed

    @property
    def ratio(self) -> float:
        """Our best time over the peer's best."""
        return min(self.ours) / min(self.theirs)

    def __str__(self) -> str:
        pairs = [a / b for a, b in zip(self.ours, self.theirs, strict=True)]
        spread = f"{statistics.median(pairs):.3f} ({min(pairs):.3f} to {max(pairs):.3f})"
        if not self.difference <= self.tolerance:
            verdict = f"NOT COMPARABLE: the results differ by {self.difference:.1e}"
        else:
            verdict = "reached" if self.ratio <= self.goal else "MISSED"
            verdict += f", same result to {self.difference:.0e}"
        times = f"{min(self.ours) * 1e3:8.1f} {min(self.theirs) * 1e3:9.1f}"
        return (
            f"{self.name:44} {times}  {self.ratio:6.3f}  {spread:24}  {self.goal:5.2f}  {verdict}"
        )


HEADER = (
    f"{'work against peer':44} {'ours ms':>8} {'peer ms':>9}  {'ratio':>6}  "
    f"{'median of the pairs (range)':24}  {'goal':>5}"
)


def compare(
    name: str,
    ours: Callable[[], np.ndarray],
    theirs: Callable[[], np.ndarray],
    *,
    goal: float,
    tolerance: float = 1e-8,
    pairs: int = 7,
) -> Comparison:
    """Call both once to warm up and to compare their results, then in turns `pairs` times.

    Parameters
    ----------
    name : str
        What is compared.
    ours, theirs : callable
        Do the work and return its result as one array; the two arrays have the same shape.
    goal : float
        Largest acceptable ratio of the best times.
    tolerance : float
        Largest relative difference of the results at which they count as the same.
    pairs : int
        How often the two are timed, in turns, since other work disturbs a busy machine.
    """
    a, b = ours(), theirs()
    difference = float(np.abs(a - b).max() / np.abs(b).max())
    seconds = {ours: [], theirs: []}
    for _ in range(pairs):
        for work in (ours, theirs):
            start = time.perf_counter()
            work()
            seconds[work].append(time.perf_counter() - start)
    return Comparison(name, seconds[ours], seconds[theirs], difference, tolerance, goal)


def threads() -> str:
    """Say how many threads both sides may use."""
    return os.environ.get("OMP_NUM_THREADS", "the libraries' default number of")
