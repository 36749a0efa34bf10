"""The regression notebook against arithmetic with 120 digits, whatever the columns' scales."""

import warnings

import mpmath
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from regression_cases import nb

SPAN = np.array([0.0, 1e-9, 1.0, 1e9])  # the λs, in units of a middling column's squared norm


@st.composite
def tables(draw):
    """X (n, d), y (n,), the columns' scales and X's rank, exact in spite of the offsets.

    Scales from 1e-9 to 1e9 as powers of two, offsets to 1e8 of them, ranks from 1 to full.
    """
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    n, d = draw(st.integers(3, 9)), draw(st.integers(1, 5))
    rank = draw(st.integers(1, d))
    base = rng.integers(-99, 100, (n, rank)) @ np.hstack(
        [np.eye(rank, dtype=int), rng.integers(-3, 4, (rank, d - rank))]
    )
    offsets = np.rint(10.0 ** rng.uniform(0, draw(st.sampled_from([0, 4, 8])), d) * 60)
    exponents = rng.uniform(-30, 30, d) * draw(st.sampled_from([0, 0.3, 1]))
    scale = 2.0 ** np.rint(exponents)
    y = rng.standard_normal(n) + 10.0 ** draw(st.sampled_from([0, 8]))
    return (base + offsets) * scale, y, scale, min(rank, n - 1)


def exact(A):
    """Convert to mpmath, which holds doubles exactly."""
    return mpmath.matrix(np.atleast_2d(A).tolist())


def centred(X):
    """Columns of an exact matrix minus their means."""
    ones = mpmath.ones(X.rows, 1)
    return X - ones * (ones.T * X) / X.rows


def solved(X, y, lam):
    """Ridge's w and b as mpmath's numbers; at lam = 0 the limit, which is the least norm's."""
    Xc = centred(X)
    A = Xc.T * Xc
    lam = mpmath.mpf(lam) or min([A[j, j] for j in range(X.cols) if A[j, j]] or [1]) / 10**40
    w = mpmath.lu_solve(A + lam * mpmath.eye(X.cols), Xc.T * centred(y))
    return w, (mpmath.ones(1, X.rows) * (y - X * w))[0] / X.rows


def reference(X, y, lam):
    """Ridge's w (d,) and fitted values (n,)."""
    with mpmath.workdps(120):
        X = exact(X)
        w, b = solved(X, exact(y).T, lam)
        return np.array([float(v) for v in w]), np.array([float(v + b) for v in X * w])


def left_out(X, y, lam):
    """Mean squared leave-one-out error by refits."""
    total, rows = 0, np.arange(len(X))
    with mpmath.workdps(120):
        for i in rows:
            w, b = solved(exact(X[rows != i]), exact(y[rows != i]).T, lam)
            total += (mpmath.mpf(y[i]) - (exact(X[i]) * w)[0] - b) ** 2
        return float(total / len(X))


def condition(X, rank):
    """κ of the centred columns of unit norm, in their `rank` directions; ∞ below that rank."""
    Xc = X - X[0]  # exact: whole numbers times a power of two
    Xc = Xc - Xc.mean(axis=0)
    s = np.linalg.svd(Xc / np.maximum(np.linalg.norm(Xc, axis=0), 1e-300), compute_uv=False)
    return s[0] / s[rank - 1] if s[rank - 1] > 1e-12 * s[0] else np.inf


@given(tables())
def test_weights_are_right_to_six_digits(table):
    X, y, scale, rank = table
    assume(np.ptp(X, axis=0).all() and condition(X, rank) < 1e6)
    n, d = X.shape
    lams = SPAN * np.median(scale) ** 2 * n * 3_000
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        W, b = nb.ridge_path(X, y, lams)
        least = nb.minimum_norm(X, y)
    fits = [(lam, W[i], b[i]) for i, lam in enumerate(lams)] + [(0.0, *least)]
    if said:  # of dependent columns whose sizes differ by more than the digits allow
        assert rank < d
        assert np.ptp(np.log10(np.linalg.norm(X - X.mean(axis=0), axis=0))) > 4
        fits = []
    for lam in lams:
        try:
            fits.append((lam, *nb.normal_equation(X, y, lam)))
        except np.linalg.LinAlgError:
            assert rank < d or condition(X, rank) > 1e4
    if rank == d:
        fits.append((0.0, *nb.qr_least_squares(X, y)))
    else:
        with pytest.raises(np.linalg.LinAlgError, match="Use minimum_norm"):
            nb.qr_least_squares(X, y)
    expected = {lam: reference(X, y, lam) for lam in lams}
    spread = X.std(axis=0)
    for lam, w, b in fits:
        w_ref, fitted = expected[lam]
        assert np.linalg.norm(spread * (w - w_ref)) <= 1e-6 * np.linalg.norm(spread * w_ref)
        rounding = 1e-14 * (np.abs(y).max() + np.abs(X).max(axis=0) @ np.abs(w_ref))
        assert np.abs(X @ w + b - fitted).max() <= 1e-6 * np.ptp(y) + rounding


@given(tables())
def test_leave_one_out_is_right_to_six_digits(table):
    X, y, scale, rank = table
    assume(np.ptp(X, axis=0).all() and condition(X, rank) < 1e6)
    lams = SPAN[1:] * np.median(scale) ** 2 * len(X) * 3_000
    expected = [left_out(X, y, lam) for lam in lams]
    np.testing.assert_allclose(nb.leave_one_out_mse(X, y, lams), expected, rtol=1e-6)
