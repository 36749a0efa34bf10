"""What the tests of the recommender notebook share."""

import numpy as np
from hypothesis import strategies as st

from tools.notebooks import algorithms

nb = algorithms("recommender-system")
ARRAYS = ("user_bias", "item_bias", "P", "Q")
SEEDS = st.integers(0, 10**6)


@st.composite
def triples(draw, most=40):
    """Up to `most` ratings of up to 8 users and 6 items, repeats included, and the shape."""
    n, m = draw(st.integers(1, 8)), draw(st.integers(1, 6))
    count = draw(st.integers(1, most))
    users = draw(st.lists(st.integers(0, n - 1), min_size=count, max_size=count))
    items = draw(st.lists(st.integers(0, m - 1), min_size=count, max_size=count))
    ratings = np.random.default_rng(draw(SEEDS)).standard_normal(count)
    return np.array(users), np.array(items), ratings, (n, m)


def random_model(shape, rank, rng, biases=True):
    n, m = shape
    b, c = (
        (rng.standard_normal(n), rng.standard_normal(m)) if biases else (np.zeros(n), np.zeros(m))
    )
    P, Q = rng.standard_normal((n, rank)), rng.standard_normal((m, rank))
    return nb.FactorModel(0.3 if biases else 0.0, b, c, P, Q, biases)


def rmse(a, b):
    return np.sqrt(np.mean((a - b) ** 2))


def largest_difference(a, b):
    return max(np.abs(getattr(a, name) - getattr(b, name)).max() for name in ARRAYS)


def hidden(data):
    mask = np.ones(data.truth.shape, dtype=bool)
    mask[data.users, data.items] = False
    return mask


def oracle(data, rank, sweeps=30):
    """Least squares started at the true factors."""
    U, s, Vt = np.linalg.svd(data.truth, full_matrices=False)
    P, Q = U[:, :rank] * np.sqrt(s[:rank]), Vt[:rank].T * np.sqrt(s[:rank])
    n, m = data.truth.shape
    start = nb.FactorModel(0.0, np.zeros(n), np.zeros(m), P, Q, False)
    return nb.als(*data[:3], (n, m), rank=rank, sweeps=sweeps, biases=False, start=start)


def fit_als(users, items, ratings, shape, **options):
    return nb.als(users, items, ratings, shape, **{"rank": 2, "sweeps": 4, "reg": 0.1} | options)
