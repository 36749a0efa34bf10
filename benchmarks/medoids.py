"""K-medoids for the topic `clustering`: against `kmedoids`, with the portrait's colours."""

import functools

import numpy as np

from benchmarks.measure import Case, Growth, Limit, Race
from common.photos import photo
from tools.notebooks import algorithms

STARTS = 10


@functools.cache
def notebook():
    """Return the notebook's algorithms, made once."""
    return algorithms("clustering")


@functools.cache
def dissimilarities(n: int) -> np.ndarray:
    """Return Euclidean distances (n, n) between n of the portrait's colours."""
    X, _, _ = notebook().unique_colours(photo())
    X = X[np.random.default_rng(0).choice(len(X), n, replace=False)]
    return np.sqrt(notebook().squared_distances(X, X))


def random_medoids(n: int, k: int, seed: int) -> np.ndarray:
    """Return k different indices below n, which both sides start from."""
    return np.random.default_rng(seed).choice(n, k, replace=False)


def swapping(n: int, k: int):
    """Return the build function of a race over ten starts; rated by the mean cost."""

    def build(quick: bool) -> Race:
        import kmedoids

        size = n // 5 if quick else n
        D, nb = dissimilarities(size), notebook()
        starts = [random_medoids(size, k, seed) for seed in range(STARTS)]

        def ours():
            return [nb.kmedoids(D, k, init=m).medoids for m in starts]

        def theirs():
            options = {"max_iter": 100, "n_cpu": 1}
            return [kmedoids.fasterpam(D, m.astype(np.uint64), **options).medoids for m in starts]

        def naive():
            return [nb.swaps_plain(D, np.ones(size), m)[0] for m in starts]

        def mean_cost(results) -> float:
            return float(np.mean([D[m.astype(int)].min(axis=0).sum() for m in results]))

        return Race(ours, theirs, mean_cost, naive if n * k <= 64_000 else None)  # it takes long

    return build


def worst_start(quick: bool) -> float:
    """Largest cost over that of `kmedoids.fasterpam`, over ten starts for each n and k."""
    import kmedoids

    ratios = []
    for n in (200, 600) if quick else (1000, 3000):
        D = dissimilarities(n)
        for k in (8, 16, 64):
            for seed in range(STARTS):
                m = random_medoids(n, k, seed)
                theirs = kmedoids.fasterpam(D, m.astype(np.uint64), max_iter=100, n_cpu=1).loss
                ratios.append(notebook().kmedoids(D, k, init=m).cost / theirs)
    return float(np.max(ratios))  # NaN if one is


def random_colours(n: int) -> np.ndarray:
    """Return n random colours (n, 3), so that hardly any are equal."""
    return np.random.default_rng(n).integers(0, 256, (n, 3)).astype(float)


def medoids_run(n: int, k: int, plain: bool = False):
    """Return the work of a run of K-medoids on random colours."""
    nb, X = notebook(), random_colours(n)
    D = np.sqrt(nb.squared_distances(X, X))
    if plain:
        return lambda: nb.swaps_plain(D, np.ones(n), np.arange(k))
    return lambda: nb.kmedoids(D, k, init=np.arange(k))


def rust_run(n: int, k: int):
    """Return the peer's run from the same start."""
    import kmedoids

    X = random_colours(n)
    D, m = np.sqrt(notebook().squared_distances(X, X)), np.arange(k, dtype=np.uint64)
    return lambda: kmedoids.fasterpam(D, m, max_iter=100, n_cpu=1)


def cases() -> list[Case]:
    """Return the races, each over ten starts."""
    return [
        Case(
            name=f"clustering: K-medoids, n = {n:,}, k = {k}",
            peer="kmedoids",
            goal=1.0,
            build=swapping(n, k),
            tolerance=1e-9,
            rated_by="mean cost",
        )
        for n in (1000, 3000)
        for k in (8, 16, 64)
    ]


def limits() -> list[Limit]:
    """Return what must not be exceeded."""
    name = "clustering: K-medoids' cost over its peer's, worst of all starts"
    return [Limit(name, "", 1.005, worst_start, "kmedoids")]


def growths() -> list[Growth]:
    """Return how the cost grows with n and with k."""
    return [
        Growth(
            "clustering: K-medoids, k = 8",
            "points n",
            [10, 30, 100, 300, 1000, 3200],
            lambda n: medoids_run(n, 8),
            lambda n: medoids_run(n, 8, plain=True),
            "kmedoids",
            lambda n: rust_run(n, 8),
        ),
        Growth(
            "clustering: K-medoids, n = 1,300",
            "clusters k",
            [2, 6, 20, 60, 200, 640],
            lambda k: medoids_run(1300, k),
            lambda k: medoids_run(1300, k, plain=True),
            "kmedoids",
            lambda k: rust_run(1300, k),
        ),
    ]
