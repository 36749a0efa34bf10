r"""Stratified SGD (DSGD, Gemulla et al. 2011) on drawn ratings: users have 100 each, items 500.

The page's `dsgd` on $B \times B$ blocks against its `factorize`, from the same start, at rank
$k = 16$, for eight epochs; drawing and colouring the ratings are part of it on both sides. The
results compared are errors on ratings that neither saw: the order of the steps differs, so the
factors do. With $N$ ratings of $n$ users and $m$ items, and $W = B$ workers:

| per epoch | in all | for a worker |
| --- | --- | --- |
| steps of SGD, $s_1$ seconds each | $N$ | $N / B$ |
| bytes of item factors between workers | $8(k+1)(B-1)m$ | $8(k+1)(B-1)m/B$ |
| bytes of all factors to the notebook and back | $16(k+1)(n+m)$ | $16(k+1)(n+m)/B$ |
| tasks, $s_2$ seconds of the scheduler each | $2B^2$ | $2B$ |

A worker holds $16 N/B$ bytes of ratings; while it reads and colours them, at the start, some
$16 N/B + 100 N/B^2$ more. Before that each part of the ratings is read by each
row of blocks, $B$ times in all, and only what belongs there is kept.

Where it stops scaling: the work of a worker falls like $1/B$, the scheduler's rises like $B^2$,
and the notebook's connection carries the same bytes whatever $B$ is. With $s_1 N/B = 2 s_2 B^2$ as
much time goes to tasks as to steps, at $B = (s_1 N / 2 s_2)^{1/3}$. Skewed items and users come
first: a block waits for the two that had its factors before, so that the largest blocks set the
pace; the page's table shows the share of the time that is left at work. Beyond, one would let
workers hand item factors to each other without a scheduler (NOMAD, Yun et al. 2014), write
checkpoints from the workers, or solve rows by least squares (ALS), which needs no order at all.
"""

import functools
import sys
import time

import numpy as np

from tools.notebooks import algorithms

TITLE = "recommender: DSGD, 10 million ratings, rank 16, 8 epochs"
SIZE, SMALL = 10_000_000, 100_000
GOALS = {"memory_of_alone": 0.6, "time": 0.8}
RANK, EPOCHS, BLOCKS, PARTS = 16, 8, 2, 20


@functools.cache
def notebook():
    """Return the page's algorithms; away from sys.modules, they travel to workers by value."""
    found = algorithms("recommender-system")
    del sys.modules[found.__name__]
    return found


def shape(size: int) -> tuple[int, int]:
    """Return the numbers of users and items."""
    return size // 100, size // 500


def part(k: int, size: int, count: int):
    """Return a function that draws `count` ratings, part number k, of a table of rank 5."""
    n, m = shape(size)

    def draw():
        rng = np.random.default_rng(0)
        P, Q = rng.standard_normal((n, 5)), rng.standard_normal((m, 5)) / np.sqrt(5)
        rng = np.random.default_rng([1, k])
        users, items = rng.integers(0, n, count), rng.integers(0, m, count)
        noise = 0.1 * rng.standard_normal(count)
        return users, items, np.einsum("nk,nk->n", P[users], Q[items]) + noise

    return draw


def problem(size: int):
    """Return the parts, the model that both sides start from, and ratings held out."""
    parts = [part(k, size, size // PARTS) for k in range(PARTS)]
    held = part(PARTS, size, min(size // PARTS, 100_000))()
    n, m = shape(size)
    start = notebook().start_model(
        np.arange(n), np.arange(m), held[2], (n, m), RANK, True, np.random.default_rng(2)
    )
    return parts, start, held


def options() -> dict:
    """Return the settings of both fits."""
    return {"epochs": EPOCHS, "lr": notebook().linear_decay(0.1, EPOCHS), "reg": 0.01, "rng": 0}


def error(model, held) -> float:
    """Return the RMSE on ratings that were held out."""
    return float(np.sqrt(np.mean((model.predict(*held[:2]) - held[2]) ** 2)))


def on_workers(client, size: int = SIZE) -> float:
    """Fit on the workers, which draw the ratings; return the held-out error."""
    parts, start, held = problem(size)
    return error(notebook().dsgd(client, parts, start, blocks=BLOCKS, **options()), held)


def in_memory(size: int = SIZE) -> float:
    """Draw the ratings and fit here; return the held-out error."""
    parts, start, held = problem(size)
    table = [np.concatenate(arrays) for arrays in zip(*(draw() for draw in parts), strict=True)]
    return error(
        notebook().factorize(*table, shape(size), rank=RANK, start=start, **options()), held
    )


def same(a: float, b: float) -> float:
    """Return the relative difference of the two errors."""
    return abs(a - b) / b


def constants() -> dict[str, float]:
    """Return seconds of a step, and of a task that does nothing, measured here."""
    from distributed import Client, LocalCluster

    nb, size = notebook(), 1_000_000
    (block,) = nb.row_of_blocks([part(0, size, size)], shape(size), 0, 1, 0)
    _, start, _ = problem(size)
    factors = ((start.user_bias, start.P), None, 0.0, 0), (start.item_bias, start.Q)
    spent = []
    for _ in range(3):
        began = time.process_time()
        nb.sgd_block([block], 0, *factors, start.mu, True, 0.01, 0.01, [0])
        spent.append(time.process_time() - began)
    here = {"processes": False, "dashboard_address": None, "silence_logs": 50}
    with LocalCluster(n_workers=1, threads_per_worker=1, **here) as one, Client(one) as client:
        client.gather(client.map(abs, range(100), pure=False))
        began = time.perf_counter()
        client.gather(client.map(abs, range(2000), pure=False))
        task = (time.perf_counter() - began) / 2000
    return {"step": min(spent) / size, "task": task}


def paper(constants: dict[str, float]) -> list[tuple[str, str]]:
    """Return what an epoch of 10⁹ ratings costs on 100 workers with 10 Gbit/s."""
    N, n, m, B, line = 1e9, 1e7, 2e6, 100, 1.25e9
    row = 8 * (RANK + 1)
    steps, tasks = constants["step"] * N / B, constants["task"] * 2 * B**2
    moved, home = row * (B - 1) * m, 2 * row * (n + m)
    both = (constants["step"] * N / 2 / constants["task"]) ** (1 / 3)
    return [
        ("ratings, users, items", "10⁹, 10⁷, 2 · 10⁶"),
        ("an epoch's steps, one process", f"{constants['step'] * N:.0f} s"),
        ("an epoch's steps, each of 100 workers", f"{steps:.1f} s"),
        ("item factors between workers", f"{moved / 1e9:.0f} GB, {moved / B / line:.1f} s"),
        ("all factors to the notebook and back", f"{home / 1e9:.1f} GB, {home / line:.1f} s"),
        ("tasks", f"{2 * B**2:,}, {tasks:.0f} s of the scheduler"),
        ("ratings that a worker holds", f"{16 * N / B / 1e6:.0f} MB"),
        (
            "an epoch, where none of these overlaps",
            f"{steps + moved / B / line + home / line + tasks:.0f} s",
        ),
        ("blocks at which tasks take as long as steps", f"{both:.0f} × {both:.0f}"),
    ]


def rounds(constants: dict[str, float], workers: int) -> list[list[float]]:
    """Return the strata of an epoch of 50 million ratings in workers × workers blocks."""
    return [[constants["step"] * 5e7 / workers**2] * workers] * workers
