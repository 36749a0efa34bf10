"""What the tests of the clustering notebook share."""

from itertools import product

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from common.photos import photo
from tools.notebooks import algorithms

nb = algorithms("clustering")
# Small whole coordinates make duplicates and ties common.
points = st.tuples(st.integers(1, 14), st.integers(1, 3)).flatmap(
    lambda shape: arrays(np.float64, shape, elements=st.integers(-4, 4))
)
seeds = st.integers(0, 2**32 - 1)


def distinct(X):
    return len(np.unique(X, axis=0))


def euclidean(X):
    return np.sqrt(nb.squared_distances(X, X))


def small_photo(step=8):
    return photo()[::step, ::step]


def assert_is_fixed_point(X, w, r):
    D = nb.squared_distances(X, r.centroids)
    np.testing.assert_allclose(D[np.arange(len(X)), r.labels], D.min(axis=1), atol=1e-9)
    assert (np.bincount(r.labels, w, len(r.centroids)) > 0).all()
    if r.converged:
        for j, c in enumerate(r.centroids):
            mine = r.labels == j
            np.testing.assert_allclose(c, np.average(X[mine], 0, w[mine]), atol=1e-9)


def best_labelling(X, k):
    best = np.inf
    for labels in product(range(k), repeat=len(X) - 1):  # the first point is in cluster 0
        a = np.array([0, *labels])
        parts = [X[a == j] for j in {0, *labels}]
        best = min(best, sum(((p - p.mean(axis=0)) ** 2).sum() for p in parts))
    return best


GOOD = np.arange(12.0).reshape(6, 2)
