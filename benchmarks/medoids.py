"""K-medoids for the topic `clustering`: against `kmedoids`, with the portrait's colours."""

import functools

import numpy as np

from benchmarks.measure import Case, Growth, Limit, Race
from common.photos import photo
from tools.notebooks import algorithms

STARTS = 10
GRAPHS = {  # n: values of p
    **{100: (5, 10, 10, 20, 33), 200: (5, 10, 20, 40, 67), 300: (5, 10, 30, 60, 100)},
    **{400: (5, 10, 40, 80, 133), 500: (5, 10, 50, 100, 167), 600: (5, 10, 60, 120, 200)},
    **{700: (5, 10, 70, 140), 800: (5, 10, 80), 900: (5, 10, 90)},
}


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


def graph_distances(n: int, p: int) -> np.ndarray:
    """Return all distances (n, n) in a random graph like those of the OR-Library's p-medians."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import shortest_path

    rng, ring = np.random.default_rng(n + p), np.arange(n)
    m = n * n // 50
    ends = np.concatenate([rng.integers(0, n, (2, m)), [ring, np.roll(ring, -1)]], axis=1)
    lengths = np.full((n, n), np.inf)
    np.minimum.at(lengths, tuple(ends), rng.integers(1, 101, m + n).astype(float))
    lengths = np.minimum(lengths, lengths.T)
    np.fill_diagonal(lengths, np.inf)
    at = np.nonzero(np.isfinite(lengths))
    return shortest_path(coo_array((lengths[at], at), shape=(n, n)), directed=False)


def on_graphs(quick: bool) -> Race:
    """Race over 40 graphs, n = 100 to 900 and p = 5 to 200, each from one random start."""
    import kmedoids

    nb, work = notebook(), []
    for n in GRAPHS if not quick else [100, 200]:
        for p in GRAPHS[n]:
            work.append((graph_distances(n, p), p, random_medoids(n, p, n + p)))

    def ours():
        return [nb.kmedoids(D, p, init=m).medoids for D, p, m in work]

    def theirs():
        options = {"max_iter": 100, "n_cpu": 1}
        return [kmedoids.fasterpam(D, m.astype(np.uint64), **options).medoids for D, _, m in work]

    def cost(results) -> float:
        pairs = zip(work, results, strict=True)
        return float(sum(D[m.astype(int)].min(axis=0).sum() for (D, _, _), m in pairs))

    return Race(ours, theirs, cost)


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
    graphs = Case(
        name="clustering: K-medoids of 40 graphs, n = 100 to 900, k = 5 to 200",
        peer="kmedoids",
        goal=3.0,
        build=on_graphs,
        tolerance=1e-3,  # equal lengths abound, and ties are broken in two ways
        rated_by="cost",
    )
    runs = [
        Case(
            name=f"clustering: K-medoids, n = {n:,}, k = {k}",
            peer="kmedoids",
            goal=2.0 if (n, k) == (1000, 64) else 1.0,
            build=swapping(n, k),
            tolerance=1e-9,
            rated_by="mean cost",
        )
        for n in (1000, 3000)
        for k in (8, 16, 64)
    ]
    return [graphs, *runs]


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
