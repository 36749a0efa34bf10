"""What the tests of the regression notebook share."""

import numpy as np
from hypothesis import strategies as st

from common.synthetic import linear_data
from tools.notebooks import algorithms

nb = algorithms("regression")
LAMS = np.array([0.01, 1.0, 30.0, 1_000.0])
SHAPES = [(60, 8), (30, 29), (30, 30), (20, 60), (2, 5), (2, 1)]
seeds = st.integers(0, 10_000)


def draw(n, d, seed=0, offset=0.0):
    """Noisy linear data; the columns' means are of the size of `offset`."""
    rng = np.random.default_rng(seed)
    X, y, *_ = linear_data(n, d, 0.5, rng)
    return X + offset * rng.standard_normal(d), y


def relative(got, expected):
    return np.linalg.norm(got - expected) / np.linalg.norm(expected)


def augmented(X, y, lam):
    """Ridge as least squares on appended rows, after centring in extended precision."""
    X, y = X.astype(np.longdouble), y.astype(np.longdouble)
    Xc, yc = (X - X.mean(axis=0)).astype(float), (y - y.mean()).astype(float)
    d = X.shape[1]
    rows, targets = np.vstack([Xc, np.sqrt(lam) * np.eye(d)]), np.append(yc, np.zeros(d))
    w = np.linalg.lstsq(rows, targets, rcond=None)[0]
    return w, float(y.mean() - X.mean(axis=0) @ w)


def refitted(solver, X, y):
    """Leave-one-out by its definition."""
    errors = []
    for i in range(len(X)):
        w, b = solver(np.delete(X, i, axis=0), np.delete(y, i))
        errors.append(y[i] - X[i] @ w - b)
    return np.mean(np.square(errors))
