"""Matrix factorisation against Surprise's `SVD` and against the textbook loop; its growth.

Both sides of a race learn the same 80,000 ratings for 20 epochs with the same rank, penalty and
spread of the random start, and both learn biases. Ours goes from three arrays to the factors, the
colouring included. Surprise's time is that of `fit` alone: the Trainset that it needs, which a loop
over the ratings in Python fills, is made beforehand and not counted.

On ratings like films' both use Surprise's default rate, 0.005 throughout. On the table with little
noise the rates have the same mean; ours fall, in equal steps, to a tenth of it, which Surprise's
cannot do. Where both keep one rate there, Surprise, which takes a user's ratings one after the
other, ends a little better than ours, which are spread over the epoch: such a race is not
comparable.

ml-latest-small, the films that ship with the page, is learnt in two orders: as the file has it, all
of a user's ratings together, and shuffled. Nothing but where Surprise's ratings lie in memory
differs, and its time does by several times; ours is the same. There each side starts as it would by
default, ours smaller, and learns four fifths; the rest rates it. The busiest user has over two
thousand ratings in this part, so that there are as many batches, of 38 ratings on average, each
some twenty calls of NumPy: that product is the floor of this design.
"""

import functools
import statistics
import time
from collections import defaultdict
from copy import deepcopy

import numpy as np

from benchmarks.measure import Case, Growth, Limit, Race, peak_bytes, seconds
from common.ratings import ratings as shipped
from common.synthetic import low_rank_ratings
from tools.notebooks import algorithms

EPOCHS, REG, SPREAD = 20, 0.02, 0.1


def even(quick: bool) -> tuple:
    """Return 160,000 ratings in random order, equally often of every user and every item."""
    n, m = (300, 240) if quick else (1000, 800)
    data = low_rank_ratings(n, m, 5, noise=0.1, observed=0.2, rng=np.random.default_rng(0))
    return data.users, data.items, data.ratings, (n, m)


def films(quick: bool) -> tuple:
    """Return as many, like films': a few users and items have most; levels, weak tastes, noise."""
    rng = np.random.default_rng(0)
    n, m, count = (300, 500, 14_400) if quick else (943, 1682, 160_000)
    p = np.outer(rng.lognormal(0, 1, n), rng.lognormal(0, 1.5, m)).ravel()
    users, items = np.divmod(rng.choice(n * m, count, replace=False, p=p / p.sum()), m)
    order = rng.permutation(count)
    users, items = users[order], items[order]
    P, Q = rng.standard_normal((n, 5)), 0.4 * rng.standard_normal((m, 5)) / np.sqrt(5)
    ratings = 3.5 + np.einsum("nk,nk->n", P[users], Q[items]) + 0.85 * rng.standard_normal(count)
    ratings += 0.45 * (rng.standard_normal(n)[users] + rng.standard_normal(m)[items])
    return users, items, ratings, (n, m)


def latest(order: str):
    """Return a table function: ml-latest-small, its training part first, in this order."""

    def table(quick: bool) -> tuple:
        rng, found = np.random.default_rng(0), shipped()
        mixed = rng.permutation(len(found.ratings))
        cut = 4 * len(mixed) // 5
        train, held = mixed[:cut], mixed[cut:]
        train = np.sort(train) if order == "file" else train
        train = train[: len(train) // 8] if quick else train
        rows = np.concatenate([train, held])
        return found.users[rows], found.items[rows], found.ratings[rows], found.shape, len(train)

    return table


def first_to_last(nb, mean: float) -> np.ndarray:
    """Return falling rates (EPOCHS,) of this mean."""
    return nb.linear_decay(2 * mean * EPOCHS / (EPOCHS + 1), EPOCHS)


def against_surprise(table, rank: int, lr: float, falling: bool, own_start: bool = False):
    """Return the build function of a race on half of the ratings; the other half rates it.

    A table may say how many are learnt instead. With `own_start` ours starts by its default.
    """

    def build(quick: bool) -> Race:
        from surprise import SVD, Trainset

        nb = algorithms("recommender-system")
        *triples, (n, m), half = (*table(quick), None)[:5]
        half = half or len(triples[0]) // 2
        users, items, ratings = (a[:half] for a in triples)
        held = [a[half:] for a in triples]
        of_user, of_item = defaultdict(list), defaultdict(list)
        for u, i, r in zip(users.tolist(), items.tolist(), ratings.tolist(), strict=True):
            of_user[u].append((i, r))
            of_item[i].append((u, r))
        trainset = Trainset(of_user, of_item, n, m, half, (-np.inf, np.inf), {}, {})

        def begin():
            rng = np.random.default_rng(0)
            start = nb.start_model(users, items, ratings, (n, m), rank, True, rng)
            if not own_start:
                start.P[:] = SPREAD * rng.standard_normal((n, rank))
                start.Q[:] = SPREAD * rng.standard_normal((m, rank))
            return start, rng

        def ours():
            start, rng = begin()
            rates = first_to_last(nb, lr) if falling else lr
            options = {"rank": rank, "epochs": EPOCHS, "lr": rates, "reg": REG, "rng": rng}
            return nb.factorize(users, items, ratings, (n, m), start=start, **options)

        def naive():
            model, rng = begin()
            for rate in first_to_last(nb, lr) if falling else [lr] * EPOCHS:
                nb.sgd_loop(users, items, ratings, model, rng.permutation(half), rate, REG)
            return model

        def theirs():
            options = {"lr_all": lr, "reg_all": REG, "init_std_dev": SPREAD, "random_state": 0}
            fit = SVD(n_factors=rank, n_epochs=EPOCHS, **options).fit(trainset)
            return nb.FactorModel(trainset.global_mean, fit.bu, fit.bi, fit.pu, fit.qi)

        def held_out_rmse(model) -> float:
            return float(np.sqrt(np.mean((model.predict(*held[:2]) - held[2]) ** 2)))

        return Race(ours, theirs, held_out_rmse, naive if rank <= 10 else None)  # it takes long

    return build


def cases() -> list[Case]:
    """Return the races, on three kinds of table and at two ranks."""
    tables = {
        "evenly rated, our rate falling": (even, 0.08, True),
        "evenly rated, one rate": (even, 0.08, False),
        "like films'": (films, 0.005, False),
        "ml-latest-small, shuffled": (latest("shuffled"), 0.005, False, True),
        "ml-latest-small, file order": (latest("file"), 0.005, False, True),
    }
    return [
        Case(
            name=f"recommender: {kind}, rank {rank}",
            peer="scikit-surprise",
            goal=None if "file" in kind else 1.1 if "latest" in kind else goal,
            build=against_surprise(table, rank, *settings),
            tolerance=1e-3,
            rated_by="held-out RMSE",
        )
        for rank, goal in ((10, 1.0), (100, 1.5))
        for kind, (table, *settings) in tables.items()
    ]


def of_the_loop(quick: bool) -> float:
    """Return the time of an epoch in batches over that of the loop, median of three pairs."""
    nb = algorithms("recommender-system")
    users, items, ratings, shape = even(quick)
    half, rng = len(users) // 2, np.random.default_rng(0)
    triples = users[:half], items[:half], ratings[:half]
    batches = nb.conflict_free_batches(*triples[:2], rng)
    order, model = np.concatenate(batches), nb.start_model(*triples, shape, 10, True, rng)
    a, b = deepcopy(model), deepcopy(model)
    ratios = []
    for _ in range(3):
        fast = seconds(lambda: nb.sgd_batches(*triples, a, batches, 0.05, REG))
        ratios.append(fast / seconds(lambda: nb.sgd_loop(*triples, b, order, 0.05, REG)))
        for name in ("P", "Q", "user_bias", "item_bias"):
            if not np.allclose(getattr(a, name), getattr(b, name), rtol=0, atol=1e-12):
                return np.nan  # not the same algorithm: no ratio
    return statistics.median(ratios)


def uniform(count: int, plain: bool = False):
    """Return an epoch of a fit to `count` ratings; users have 100 each, items 500, on average."""
    nb, rng = algorithms("recommender-system"), np.random.default_rng(0)
    shape = count // 100, count // 500
    users, items = (rng.integers(0, size, count) for size in shape)
    ratings, order = rng.standard_normal(count), rng.permutation(count)

    def loop():
        model = nb.start_model(users, items, ratings, shape, 16, True, np.random.default_rng(0))
        return nb.sgd_loop(users, items, ratings, model, order, 0.01, 0.0)

    options = {"rank": 16, "epochs": 1, "lr": 0.01, "rng": 0}
    return loop if plain else lambda: nb.factorize(users, items, ratings, shape, **options)


@functools.cache
def cost(count: int) -> tuple[float, float | None]:
    """Return seconds and peak bytes for each of `count` ratings.

    The seconds are the processor's, best of three: 10 million ratings take long enough for other
    work on the machine to get in between. The arrays that are handed over count as memory too, 24
    bytes for each rating.
    """
    work, spent = uniform(count), []
    peak = peak_bytes(work)
    for _ in range(3):
        start = time.process_time()
        work()
        spent.append(time.process_time() - start)
    return min(spent) / count, None if peak is None else peak / count + 24


def limits() -> list[Limit]:
    """Return what has a bound but no peer."""

    def slower(quick: bool) -> float:
        return cost(1_000_000 if quick else 10_000_000)[0] / cost(100_000)[0]

    def memory(quick: bool) -> float | None:
        return cost(1_000_000 if quick else 10_000_000)[1]

    return [
        Limit(
            "recommender: epoch in batches over the loop's, same factors", "", 1 / 30, of_the_loop
        ),
        Limit("recommender: time per rating, 10 million over 100,000", "", 2, slower),
        Limit("recommender: peak memory per rating, 10 million", "bytes", 150, memory),
    ]


def growths() -> list[Growth]:
    """Return the growth of a fit of one epoch with the number of ratings."""
    sizes = [30_000, 100_000, 300_000, 1_000_000, 3_000_000, 10_000_000]
    name = "recommender: colouring and an epoch, rank 16"
    return [Growth(name, "ratings N", sizes, uniform, lambda count: uniform(count, plain=True))]
