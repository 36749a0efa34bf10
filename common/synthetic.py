"""Data drawn with its truth beside it: linear models, and ratings of known rank."""

from typing import NamedTuple

import numpy as np

from common.checks import POSITIVE, generator, integer, number


class LinearData(NamedTuple):
    """X (n, d) and y (n,) = X w + b + noise, with the truth w (d,), b and noise (a std)."""

    X: np.ndarray
    y: np.ndarray
    w: np.ndarray
    b: float
    noise: float


class Ratings(NamedTuple):
    """Observed triples, each (N,), with every noisy rating and the truth, each (n, m)."""

    users: np.ndarray
    items: np.ndarray
    ratings: np.ndarray
    noisy: np.ndarray
    truth: np.ndarray
    noise: float  # standard deviation of noisy - truth, in rating units


def linear_data(n: int, d: int, noise: float, rng: np.random.Generator) -> LinearData:
    """Draw a linear regression problem whose answer is known.

    The rows of X are standard normal and w is uniform on the unit sphere, so that the signal Xw
    has variance 1 and `noise` is relative to it.

    Parameters
    ----------
    n, d : int
        Examples (n ≥ 1) and features (d ≥ 1).
    noise : float
        Standard deviation σ ≥ 0 of the Gaussian noise in y.
    rng : numpy.random.Generator or int
        Source of all randomness, or the seed of a new one.

    Returns
    -------
    LinearData
        X (n, d) and y (n,) float64, and the truth w (d,), b and noise.

    Raises
    ------
    ValueError
        If a size is below 1, `noise` is negative or not finite, or `rng` is neither.
    """
    n, d, rng = integer("n", n), integer("d", d), generator(rng)
    noise = number("noise", noise, 0)
    w = rng.standard_normal(d)
    w /= np.linalg.norm(w)
    b = rng.standard_normal()
    X = rng.standard_normal((n, d))
    return LinearData(X, X @ w + b + noise * rng.standard_normal(n), w, float(b), noise)


def low_rank_ratings(
    n_users: int, n_items: int, rank: int, noise: float, observed: float, rng: np.random.Generator
) -> Ratings:
    """Draw a ratings matrix of known rank, with noise, of which a part is observed.

    The truth is P Qᵀ with standard normal factors, scaled to standard deviation 1, so that `noise`
    is relative to the signal.

    Parameters
    ----------
    n_users, n_items : int
        Shape of the matrix.
    rank : int
        Rank of the truth, 1 to min(n_users, n_items).
    noise : float
        Standard deviation ≥ 0 of the Gaussian noise, relative to the truth's.
    observed : float
        Share of all entries that is observed, above 0 and at most 1; at least one entry is.
    rng : numpy.random.Generator or int
        Source of all randomness, or the seed of a new one.

    Returns
    -------
    Ratings
        users and items (N,) int64, without repeats and in random order; their ratings (N,);
        noisy and truth (n_users, n_items); all float64.

    Raises
    ------
    ValueError
        If an argument is outside the range given above.
    """
    n_users, n_items = integer("n_users", n_users), integer("n_items", n_items)
    rank = integer("rank", rank, 1, min(n_users, n_items))
    noise, observed = number("noise", noise, 0), number("observed", observed, POSITIVE, 1)
    rng = generator(rng)
    truth = rng.standard_normal((n_users, rank)) @ rng.standard_normal((n_items, rank)).T
    truth /= truth.std() if truth.size > 1 else 1
    noisy = truth + noise * rng.standard_normal(truth.shape)
    count = max(1, round(observed * truth.size))
    users, items = np.unravel_index(rng.choice(truth.size, count, replace=False), truth.shape)
    return Ratings(users, items, noisy[users, items], noisy, truth, noise)
