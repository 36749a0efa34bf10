"""K-means on points drawn at random, for the topic `clustering`: against scikit-learn.

No two points are equal and margins have no time to pay, so that this is the bare iteration.
"""

import numpy as np

from benchmarks.measure import Case, Growth, Race
from benchmarks.medoids import notebook, random_colours

POINTS = ((500_000, 3, 16), (200_000, 3, 64), (50_000, 50, 16))  # n, d, k


def iterating(n: int, d: int, k: int):
    """Return the build function of a race over ten iterations on random points."""

    def build(quick: bool) -> Race:
        from sklearn.cluster import KMeans

        nb, X = notebook(), np.random.default_rng(n).random((n // 10 if quick else n, d))
        options = {"n_init": 1, "tol": 0, "max_iter": 10, "algorithm": "lloyd"}

        def ours():
            return nb.kmeans(X, k, init=X[:k], max_iter=10).centroids

        def theirs():
            return KMeans(k, init=X[:k], **options).fit(X).cluster_centers_

        def inertia(C) -> float:
            return float(nb.squared_distances(X, C).min(axis=1).sum())

        return Race(
            ours, theirs, inertia, lambda: nb.lloyd(X, np.ones(len(X)), X[:k], 10).centroids
        )

    return build


def means_iterations(n: int, k: int, plain: bool = False):
    """Return the work of ten iterations of K-means on random colours."""
    nb, X = notebook(), random_colours(n)
    if plain:
        return lambda: nb.lloyd(X, np.ones(n), X[:k], 10)
    return lambda: nb.kmeans(X, k, init=X[:k], max_iter=10)


def scikit_iterations(n: int, k: int):
    """Return the peer's ten iterations on the same colours."""
    from sklearn.cluster import KMeans

    X = random_colours(n)
    options = {"n_init": 1, "tol": 0, "max_iter": 10, "algorithm": "lloyd"}
    return lambda: KMeans(k, init=X[:k], **options).fit(X)


def cases() -> list[Case]:
    """Return the comparisons on generic points."""
    return [
        Case(
            name=f"clustering: {n:,} generic points in {d} dimensions, k = {k}, 10 iterations",
            peer="scikit-learn",
            goal=1.5,
            build=iterating(n, d, k),
            tolerance=1e-9,
            rated_by="inertia",
        )
        for n, d, k in POINTS
    ]


def growths() -> list[Growth]:
    """Return how the cost of an iteration grows with n and with k."""
    return [
        Growth(
            "clustering: K-means, 10 iterations, k = 16",
            "points n",
            [1000, 4000, 16_000, 63_000, 250_000, 500_000],
            lambda n: means_iterations(n, 16),
            lambda n: means_iterations(n, 16, plain=True),
            "scikit-learn",
            lambda n: scikit_iterations(n, 16),
        ),
        Growth(
            "clustering: K-means, 10 iterations, n = 10,000",
            "clusters k",
            [2, 6, 20, 60, 200, 640],
            lambda k: means_iterations(10_000, k),
            lambda k: means_iterations(10_000, k, plain=True),
            "scikit-learn",
            lambda k: scikit_iterations(10_000, k),
        ),
    ]
