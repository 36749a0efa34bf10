r"""Ridge for several λ, its degrees of freedom, GCV and the exact leave-one-out error, from blocks.

There are $n$ rows with $d$ features, drawn by seed in blocks of $r$; drawing stands for reading.
*On workers* a task draws a run of blocks and merges their moments; what comes back the client
merges in a tree. A second pass draws them again, for the errors of rows that are left out. *In
memory* the same rows are drawn once, into one matrix, for the page's `ridge_path`,
`effective_dof`, `generalised_cv_mse` and `leave_one_out_mse`, each of which centres and squares
them afresh. The difference is relative to the largest number of each result. With $w$ workers and
$L$ values of λ:

- *Tasks* in each pass: $t = \min(n/r, 1000)$.
- *Bytes*: to each worker what is to be done, once a pass, some ten thousand; from each task of the
  first pass $8((d + 1)(d + 3) + 1)$, of the second about $8L$ a block. No byte of a row travels,
  unless rows are read over the network: then $8n(d + 1)$ bytes come in twice.
- *Work* of a worker: $\frac nw(T_\text{draw} + T_\text{moments})$, where $T_\text{moments}$ grows
  with $d^2$, then $\frac nw(T_\text{draw} + T_\text{left out})$, where $T_\text{left out}$ grows
  with $d(d + L)$. Of the client, meanwhile: $t$ times what Dask needs for a task, and $t$ merges
  of $O(d^2)$; once $O(d^3)$.
- *Memory* of a worker: about $16r(d + 1)$ bytes, a block and its centred copy, whatever $n$.

**Where it stops.** One process hands out all tasks and fetches all results, so a task should take
longer than Dask needs for $w$ of them: that is why blocks come in runs. A thousand tasks keep some
hundred workers evenly busy; for more of them `runs` would make more tasks, and merging should move
to the workers. Moments grow with $d^2$: with thousands of features they are as large as a block,
and one would leave the rows where they are and iterate (conjugate gradients), with $d$ numbers a
step. Columns that all but depend on each other ($\kappa^2 > 10^6$) lose digits in moments; QR of
each block, merged likewise (TSQR: Demmel et al. 2012), keeps them, for about twice the work.
"""

import sys

import numpy as np

from benchmarks.measure import best
from common import cluster
from tools.notebooks import algorithms

TITLE = "10 million rows × 20, path, GCV and leave-one-out (memory: 50 million)"
GOALS = {"memory": 150e6, "time": 0.65}
ROWS, D = 100_000, 20  # of a block
SIZE, HUGE, SMALL = 10_000_000, 50_000_000, 400_000
ROW = np.zeros(D + 1)


def _algorithms():
    """Return the notebook's functions, so that they travel to workers by value."""
    nb = algorithms("regression")
    sys.modules.pop(nb.__name__)
    return nb


def _drawer():
    """Return the function that draws block number k, so that it travels by value too."""
    w, rows = np.linspace(-1, 1, D), ROWS

    def draw(k):
        rng = np.random.default_rng([18, k])
        X = rng.standard_normal((rows, len(w)))
        return X, X @ w + 0.5 * rng.standard_normal(rows)

    return draw


def _lams(n: int) -> np.ndarray:
    return n * np.logspace(-6, 0, 7)


def on_workers(client, size: int | None = None) -> list[np.ndarray]:
    """Two passes over blocks: W, b, degrees of freedom, GCV and leave-one-out error."""
    nb, n = _algorithms(), size or SIZE
    run, blocks = nb.on_workers(client, cluster.finished), range(n // ROWS)
    M = nb.moments_of(_drawer(), blocks, ROW, run)
    error = nb.leave_one_out_of(_drawer(), blocks, M, _lams(n), run)
    return [*nb.ridge_of(M, _lams(n)), error]


def huge(client, size: int | None = None) -> list[np.ndarray]:
    """Do the same at a size that is too large for many a memory."""
    return on_workers(client, size or HUGE)


def in_memory(size: int | None = None) -> list[np.ndarray]:
    """Draw the same rows into one matrix, and hand it to the page's functions."""
    nb, n, draw = _algorithms(), size or SIZE, _drawer()
    X, y, lams = np.empty((n, D)), np.empty(n), _lams(n)
    for k in range(n // ROWS):
        X[k * ROWS : (k + 1) * ROWS], y[k * ROWS : (k + 1) * ROWS] = draw(k)
    W, b = nb.ridge_path(X, y, lams)
    freedom, criterion = nb.effective_dof(X, lams), nb.generalised_cv_mse(X, y, lams)
    return [W, b, freedom, criterion, nb.leave_one_out_mse(X, y, lams)]


def same(a: list[np.ndarray], b: list[np.ndarray]) -> float:
    """Return the largest difference, relative to the largest number of each result."""
    return float(max(np.abs(x - y).max() / np.abs(y).max() for x, y in zip(a, b, strict=True)))


def constants() -> dict[str, float]:
    """Return seconds for a row of each kind of work, for a merge and for a task, and bytes."""
    nb, draw = _algorithms(), _drawer()
    X, y = draw(0)
    M, lams = nb.moments(X, y, ROW), _lams(ROWS)

    with cluster.workers() as client:
        run = nb.on_workers(client)
        run(abs, range(4))
        task = best(lambda: run(abs, range(200)), 2) / 200
    return {
        "draw": best(lambda: draw(1)) / ROWS,
        "moments": best(lambda: nb.moments(X, y, ROW)) / ROWS,
        "left out": best(lambda: nb.left_out_squares(X, y, M, lams)) / ROWS,
        "merge": best(lambda: nb.merged([M] * 64)) / 63,
        "task": task,
        "bytes of moments": 8 * (M.products.size + 2 * M.row.size + 1),
        "bytes of a row": 8 * (D + 1),
    }


def paper(constants: dict[str, float]) -> list[tuple[str, str]]:
    """Return what a thousand million rows cost on 100 workers with 10 Gbit/s."""
    n, workers, wire = 1e9, 100, 10e9 / 8
    tasks = len(_algorithms().runs(range(int(n / ROWS))))
    first = n / workers * (constants["draw"] + constants["moments"])
    second = n / workers * (constants["draw"] + constants["left out"])
    sent = tasks * constants["bytes of moments"]
    client = tasks * (constants["task"] + constants["merge"])
    rows = n * constants["bytes of a row"]
    return [
        ("rows, all of them", f"{rows / 1e9:.0f} GB in {tasks:,} tasks"),
        ("first pass, work of a worker", f"{first:.1f} s"),
        ("second pass, work of a worker", f"{second:.1f} s"),
        ("moments that come back", f"{sent / 1e6:.1f} MB: {1e3 * sent / wire:.1f} ms"),
        ("the client's work in each pass, meanwhile", f"{client:.1f} s"),
        (
            "read from disks that fill every worker's wire, each pass",
            f"{rows / workers / wire:.1f} s",
        ),
    ]


def rounds(constants: dict[str, float], workers: int) -> list[list[float]]:
    """Return the seconds of each task in both passes, with 16 blocks for each worker."""
    runs = _algorithms().runs(range(16 * workers))
    passes = [constants["draw"] + constants[work] for work in ("moments", "left out")]
    return [[len(run) * ROWS * each for run in runs] for each in passes]
