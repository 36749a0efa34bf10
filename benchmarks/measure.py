"""What a benchmark is made of: a race against a peer, a limit, a growth curve; and their measuring.

Each module beside this one may define `cases()`, `limits()` and `growths()`, which return lists
of the three dataclasses below; `run.py` finds and measures them.
"""

import ctypes
import gc
import math
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Race:
    """The same work in two or three ways; each callable does all of it and returns its result.

    Parameters
    ----------
    ours, theirs : callable
        This collection's way and the peer's.
    objective : callable
        Rates a result, lower is better; the same function for all, and not timed.
    naive : callable, optional
        The textbook loop; called once where it takes long, and else three times.
    """

    ours: Callable[[], Any]
    theirs: Callable[[], Any]
    objective: Callable[[Any], float]
    naive: Callable[[], Any] | None = None


@dataclass(frozen=True)
class Case:
    """A comparison to be made.

    Parameters
    ----------
    name : str
        The topic, a colon, and the work.
    peer : str
        The distribution that does `theirs`; where it isn't installed, the case is skipped.
    goal : float or None
        Largest acceptable median of ours / theirs, in time; None where the time has no goal.
    build : callable
        ``build(quick)`` imports the peer and makes the inputs, smaller ones if `quick`.
    tolerance : float
        By how much, relative, our objective may exceed theirs before the results no longer count
        as equally good.
    rated_by : str
        What the objective is, for the table.
    """

    name: str
    peer: str
    goal: float | None
    build: Callable[[bool], Race]
    tolerance: float
    rated_by: str


@dataclass(frozen=True)
class Limit:
    """One number, ``measure(quick)``, that must not exceed `goal`; None where it can't be measured.

    `peer` is the distribution that it needs; where that isn't installed, it is skipped.
    """

    name: str
    unit: str
    goal: float
    measure: Callable[[bool], float | None]
    peer: str | None = None


@dataclass(frozen=True)
class Growth:
    """How the cost of ``build(size)()`` grows with the size.

    Parameters
    ----------
    name : str
        The topic, a colon, and the work.
    variable : str
        What the size counts, with its symbol.
    sizes : list of int
        Rising, over at least 2.5 decades.
    build : callable
        Makes the input of one size and returns the work.
    build_naive : callable
        The same for the textbook loop.
    peer : str, optional
        The distribution that `build_peer` needs; drawn beside ours where it is installed.
    build_peer : callable, optional
        The same for the peer.
    """

    name: str
    variable: str
    sizes: list[int]
    build: Callable[[int], Callable[[], Any]]
    build_naive: Callable[[int], Callable[[], Any]]
    peer: str | None = None
    build_peer: Callable[[int], Callable[[], Any]] | None = None


@dataclass(frozen=True)
class Comparison:
    """What was measured of a case: seconds of each of the alternating pairs, and the objectives."""

    name: str
    peer: str
    goal: float | None
    tolerance: float
    rated_by: str
    ours: list[float]
    theirs: list[float]
    objective: float
    their_objective: float
    naive: float | None = None  # seconds of the textbook loop
    naive_objective: float | None = None

    @property
    def ratios(self) -> list[float]:
        """Our time divided by theirs, of each pair."""
        return [a / b for a, b in zip(self.ours, self.theirs, strict=True)]

    @property
    def ratio(self) -> float:
        """The median over the pairs of our time divided by theirs."""
        return statistics.median(self.ratios)

    @property
    def comparable(self) -> bool:
        """Whether our result is as good as the peer's; with NaN or infinity nothing can be said."""
        finite = math.isfinite(self.objective) and math.isfinite(self.their_objective)
        slack = self.tolerance * abs(self.their_objective)
        return finite and self.objective <= self.their_objective + slack

    @property
    def verdict(self) -> str:
        """Say what came out: a worse result is never a win, however fast."""
        if not self.comparable:
            return "not comparable"
        if self.goal is None:
            return "for reference"
        return "reached" if self.ratio <= self.goal else "missed"


def seconds(work: Callable[[], Any]) -> float:
    """Call `work` once and return how long it took."""
    gc.collect()
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def best(work: Callable[[], Any], times: int = 3) -> float:
    """Return the shortest of several times that `work` takes, in seconds."""
    return min(seconds(work) for _ in range(times))


def race(case: Case, quick: bool = False, pairs: int = 5) -> Comparison:
    """Call both once to warm up and to rate their results, then in turns `pairs` times.

    The goals are those of the whole sizes: a quick race has none.
    """
    work = case.build(quick)
    objective, their_objective = work.objective(work.ours()), work.objective(work.theirs())
    ours, theirs = [], []
    for _ in range(pairs):
        ours.append(seconds(work.ours))
        theirs.append(seconds(work.theirs))
    naive = naive_objective = None
    if work.naive is not None:
        results = []
        naive = seconds(lambda: results.append(work.naive()))
        if naive < 1:
            naive = statistics.median([naive, seconds(work.naive), seconds(work.naive)])
        naive_objective = float(work.objective(results[0]))
    goal = None if quick else case.goal
    about = case.name, case.peer, goal, case.tolerance, case.rated_by
    ratings = float(objective), float(their_objective)
    return Comparison(*about, ours, theirs, *ratings, naive, naive_objective)


def resident(name: str) -> int:
    """Return a line of /proc/self/status in bytes: VmRSS is held now, VmHWM was at most."""
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith(name))


def peak_bytes(work: Callable[[], Any]) -> int | None:
    """Return by how many bytes the process grew at most while `work` ran.

    Counts whatever allocated them: NumPy, torch or a compiled peer. None where the system cannot
    say (Linux with the GNU C library can).
    """
    if not sys.platform.startswith("linux"):
        return None
    gc.collect()
    try:
        # Freed memory that the allocator kept would be used again without being counted.
        ctypes.CDLL(None).malloc_trim(0)
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")  # starts the high-water mark afresh
    except (AttributeError, OSError):
        return None
    before = resident("VmRSS")
    work()
    return max(resident("VmHWM") - before, 0)


def curve(
    build: Callable[[int], Callable[[], Any]], sizes: list[int], longest: float = 60.0
) -> tuple[list[float], list[int | None]]:
    """Return the best of four times, of two where they are long, and the peak memory of each size.

    The curve ends with the first size that takes more than `longest` seconds.
    """
    times, peaks = [], []
    for size in sizes:
        work = build(size)
        first = seconds(lambda work=work: peaks.append(peak_bytes(work)))
        times.append(min(first, *(seconds(work) for _ in range(1 if first > 1 else 3))))
        if times[-1] > longest:
            break
    return times, peaks


def exponent(sizes: list[int], cost: list[float]) -> float | None:
    """Fit the p of cost = c · size^p to the upper half, where fixed costs have faded.

    The upper half on the logarithmic axis: all sizes from the geometric mean of the ends, and
    at least three; None of fewer.
    """
    if len(sizes) < 3:
        return None
    sizes, cost = np.asarray(sizes, dtype=float), np.asarray(cost, dtype=float)
    upper = sizes >= min(0.999 * math.sqrt(sizes[0] * sizes[-1]), sizes[-3])
    return float(np.polyfit(np.log(sizes[upper]), np.log(cost[upper]), 1)[0])
