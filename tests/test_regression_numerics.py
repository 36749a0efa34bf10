"""The regression notebook against arithmetic with 120 digits, whatever the columns' scales."""

import warnings

import mpmath
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from regression_cases import draw, nb, refitted, relative, seeds

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


def reference(X, y, lam, digits=120):
    """Ridge's w (d,) and fitted values (n,)."""
    with mpmath.workdps(digits):
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
    sizes = np.linalg.norm(X - X.mean(axis=0), axis=0)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        W, b = nb.ridge_path(X, y, lams)
        fits = [(lam, W[i], b[i]) for i, lam in enumerate(lams)] + [(0.0, *nb.minimum_norm(X, y))]
    doubtful = len(fits) if said else 0  # of these the fit alone is promised
    assert not said or (rank < d - 1 and sizes.max() > 1e8 * sizes.min())
    for lam in lams:
        try:
            fits.append((lam, *nb.normal_equation(X, y, lam)))
        except np.linalg.LinAlgError:
            assert rank < d
    if rank == d:
        fits.append((0.0, *nb.qr_least_squares(X, y)))
    else:
        with pytest.raises(np.linalg.LinAlgError, match="Use minimum_norm"):
            nb.qr_least_squares(X, y)
    expected = {lam: reference(X, y, lam) for lam in lams}
    for i, (lam, w, b) in enumerate(fits):
        w_ref, fitted = expected[lam]
        weight = np.sqrt(sizes**2 + lam)  # of each w in what ridge minimises
        gap = np.linalg.norm(weight * (w - w_ref))
        assert i < doubtful or gap <= 1e-6 * np.linalg.norm(weight * w_ref)
        rounding = 1e-14 * (np.abs(y).max() + np.abs(X).max(axis=0) @ np.abs(w_ref))
        assert np.abs(X @ w + b - fitted).max() <= 1e-6 * np.ptp(y) + rounding


@given(tables())
def test_leave_one_out_is_right_to_six_digits(table):
    X, y, scale, rank = table
    assume(np.ptp(X, axis=0).all() and condition(X, rank) < 1e6)
    lams = SPAN[1:] * np.median(scale) ** 2 * len(X) * 3_000
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        got = nb.leave_one_out_mse(X, y, lams)
    if not said:
        np.testing.assert_allclose(got, [left_out(X, y, lam) for lam in lams], rtol=1e-6)
    assert not said or rank < X.shape[1] - 1


# Faults of old, each with the right value ------------------------------------------------------


def by_refits(X, y, lam):
    """Leave-one-out by refits of the normal equation."""
    return refitted(lambda A, t: nb.normal_equation(A, t, lam), X, y)


def test_leave_one_out_with_columns_of_very_different_scale():
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((30, 3)) * [1e9, 1e-3, 1e-4], rng.standard_normal(30)
    lams = np.array([5.6e-10, 1e-6, 1.0, 1e4])
    expected = [by_refits(X, y, lam) for lam in lams]
    np.testing.assert_allclose(nb.leave_one_out_mse(X, y, lams), expected, rtol=1e-9)
    assert left_out(X, y, 1.0) == pytest.approx(expected[2], rel=1e-9)


@pytest.mark.parametrize("scale", [[1e-9, 1, 1e9], [1e-60, 1, 1e60], [1e-120, 1e90, 1e-9]])
@pytest.mark.parametrize("d", [3, 4])
def test_a_small_column_beside_large_ones_gets_the_weight_that_ridge_gives_it(scale, d):
    X, y = draw(12, 3)
    X = np.hstack([X, X[:, :1]])[:, :d] * [*scale, scale[0]][:d]  # the small column twice, or once
    lams = np.array([1e-10, 1.0, 1e16])
    W, _ = nb.ridge_path(X, y, lams)
    expected = [reference(X, y, lam, digits=600)[0] for lam in lams]
    np.testing.assert_allclose(W, expected, rtol=1e-9, atol=1e-200)


@pytest.mark.parametrize("size", [1e-300, 1e-200, 1e-150])
def test_what_varies_less_than_its_squares_can_say(size):
    X, y = draw(20, 3)
    for solver in (nb.normal_equation, nb.minimum_norm, nb.qr_least_squares):
        assert relative(solver(X, size * y)[0] / size, solver(X, y)[0]) < 1e-10
    with pytest.warns(UserWarning, match="^X: what varies by less than 1e-140 counts as constant"):
        W, _ = nb.ridge_path(X * [1, size, 1], y, [0.0, 1.0])
    np.testing.assert_allclose(W[:, [0, 2]], nb.ridge_path(X[:, [0, 2]], y, [0.0, 1.0])[0])
    assert not W[:, 1].any()


def test_leave_one_out_beside_a_timestamp_in_milliseconds():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((20_000, 3))
    X[:, 0] = 1.7e12 + rng.integers(0, 3 * 10**10, 20_000)
    y = X[:, 1] + 0.3 * rng.standard_normal(20_000)
    assert nb.leave_one_out_mse(X, y, [0.0, 1.0]) == pytest.approx(0.09, rel=0.05)
    few = slice(0, 40)
    expected = [left_out(X[few], y[few], lam) for lam in (0.0, 1.0)]
    np.testing.assert_allclose(
        nb.leave_one_out_mse(X[few], y[few], [0.0, 1.0]), expected, rtol=1e-9
    )


@pytest.mark.parametrize("outlier", [1e4, 1e6, 1e7, 1e9])
def test_leave_one_out_with_a_row_that_all_but_measures_a_feature_alone(outlier):
    X, y = draw(20, 3)
    X[4, 1] = outlier
    lams = [0.0, 1e-6, 1.0]
    expected = [left_out(X, y, lam) for lam in lams]
    np.testing.assert_allclose(nb.leave_one_out_mse(X, y, lams), expected, rtol=1e-6)


def test_a_timestamp_in_nanoseconds_leaves_the_other_features_their_weights():
    rng = np.random.default_rng(0)
    X = np.column_stack([1.7e18 + 9e16 * rng.standard_normal(200), rng.standard_normal((200, 2))])
    y = X[:, 1:] @ [2.0, -1.0] + 0.1 * rng.standard_normal(200)
    expected, _ = reference(X, y, 0.0)
    assert expected[1:] == pytest.approx([2, -1], abs=0.05)
    for w in (nb.ridge_path(X, y, [0.0])[0][0], nb.minimum_norm(X, y)[0]):
        np.testing.assert_allclose(w, expected, rtol=1e-8)
    assert nb.effective_dof(X, [0.0]) == pytest.approx(3)
    X = np.hstack([X, X[:, 1:2]])  # and with a column twice
    w, _ = nb.minimum_norm(X, y)
    np.testing.assert_allclose(w, [*(expected / [1, 2, 1]), expected[1] / 2], rtol=1e-8)


@pytest.mark.parametrize("degree", [2, 4, 6, 8, 10, 13])
def test_the_normal_equation_of_polynomials_is_right_or_refused(degree):
    X = np.linspace(0, 1, 50)[:, None] ** np.arange(1, degree + 1)
    y = np.sin(6 * X[:, 0])
    expected, _ = reference(X, y, 0.0)
    if degree < 9:  # κ < 10⁶
        for solver in (nb.normal_equation, nb.minimum_norm, nb.qr_least_squares):
            assert relative(solver(X, y)[0], expected) < 1e-6
    else:
        with pytest.raises(np.linalg.LinAlgError, match="singular but for rounding"):
            nb.normal_equation(X, y)
        for solver in (nb.minimum_norm, nb.qr_least_squares, lambda X, y: nb.ridge_path(X, y, [0])):
            with pytest.warns(UserWarning, match="all but depend on each other"):
                solver(X, y)


@given(st.floats(1, 12), st.integers(2, 8), seeds, st.booleans())
def test_whatever_the_condition_weights_are_right_or_someone_says_so(digits, d, seed, noisy):
    rng = np.random.default_rng(seed)
    U, V = (np.linalg.qr(rng.standard_normal((rows, d)))[0] for rows in (40, d))
    X = U * np.logspace(0, -digits, d) @ V
    X *= 2.0 ** rng.integers(-30, 31, d)  # condition() sees columns of one size
    y = rng.standard_normal(40) if noisy else X @ (rng.standard_normal(d) / np.ptp(X, axis=0))
    expected, _ = reference(X, y, 0.0)
    kappa, sizes = condition(X, d), np.linalg.norm(X - X.mean(axis=0), axis=0)
    solvers = [nb.normal_equation, nb.qr_least_squares, nb.minimum_norm]
    solvers += [lambda X, y: [A[0] for A in nb.ridge_path(X, y, [0.0])]]
    solvers += [lambda X, y: nb.gradient_descent(X, y, steps=2, tol=1e-6)[:2]]
    for i, solver in enumerate(solvers):
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            try:
                w, _ = solver(X, y)
            except np.linalg.LinAlgError:
                w = None
        assert w is not None or kappa > 9e5, "it needn't have given up"
        if w is not None and not (said and (kappa > 1e6 or i == 4)):
            gap = np.linalg.norm(sizes * (w - expected))
            assert gap <= 1e-6 * np.linalg.norm(sizes * expected)


def test_kahans_matrix_is_refused_although_its_pivots_look_harmless():
    c, s = np.cos(1.2), np.sin(1.2)
    K = s ** np.arange(90)[:, None] * (np.eye(90) - c * np.triu(np.ones((90, 90)), 1))
    X = np.vstack([K, -K])
    with pytest.raises(np.linalg.LinAlgError, match="Use minimum_norm"):
        nb.normal_equation(X, X @ np.ones(90))


DEPENDENT = {
    "a column twice": lambda X: np.hstack([X, X[:, :1]]),
    "a column twice, in another unit": lambda X: np.hstack([X, 1e8 + 1e-3 * X[:, :1]]),
    "one-hot": lambda X: np.hstack([X, np.eye(3)[np.arange(len(X)) % 3]]),
    "as many columns as rows": lambda X: np.random.default_rng(1).standard_normal((12, 12)),
    "more columns than rows": lambda X: np.random.default_rng(1).standard_normal((12, 20)),
}


@pytest.mark.parametrize("solver", [nb.normal_equation, nb.qr_least_squares])
@pytest.mark.parametrize("make", DEPENDENT.values(), ids=DEPENDENT)
def test_dependent_columns_are_refused(make, solver):
    X, y = draw(12, 3)
    with pytest.raises(np.linalg.LinAlgError, match="Use minimum_norm"):
        solver(make(X), y)
    assert np.abs(nb.minimum_norm(make(X), y)[0]).max() < 1e4


@pytest.mark.parametrize("column", [np.ones(20), np.full(20, 1e9), 5 + 1e-13 * np.arange(20) % 3])
def test_a_constant_column_is_named_or_has_no_weight(column):
    X, y = draw(20, 3)
    X = np.insert(X, 1, column, axis=1)
    for solver in (nb.normal_equation, nb.qr_least_squares):
        with pytest.raises(np.linalg.LinAlgError, match="column 1 is constant, and the intercept"):
            solver(X, y)
    without = np.delete(X, 1, axis=1)
    W, b = nb.ridge_path(X, y, [0.0, 1.0])
    expected, b_expected = nb.ridge_path(without, y, [0.0, 1.0])
    np.testing.assert_allclose(W, np.insert(expected, 1, 0, axis=1), rtol=1e-12)
    np.testing.assert_allclose(b, b_expected)
    for w, _ in (nb.minimum_norm(X, y), nb.normal_equation(X, y, 1.0)):
        assert w[1] == 0


def test_gradient_descent_says_how_far_it_is_from_the_optimum():
    X, y = draw(60, 4)
    with pytest.warns(UserWarning, match="from the optimum: standardise the columns"):
        nb.gradient_descent(X * [1e3, 1, 1, 1e-3], y)
    step = 2.2 / np.linalg.eigvalsh(nb.centred(X).T @ nb.centred(X))[-1]
    with pytest.raises(ValueError, match=r"^step: expected below 2/L = .*, or it diverges, got"):
        nb.gradient_descent(X, y, step=step)


@pytest.mark.parametrize("d", [9, 10, 30])
def test_bias_and_variance_of_more_features_than_examples(d):
    X, _ = draw(10, d)
    w = np.linspace(-1, 1, d)
    bias2, variance = nb.bias_variance(X, w, 0.7, [0.0, 2.0])
    for i, fit in enumerate([nb.minimum_norm, lambda X, y: nb.normal_equation(X, y, 2.0)]):
        w_mean, b_mean = fit(X, X @ w)
        moves = [fit(X, X @ w + row) for row in 0.7 * np.eye(10)]
        total = sum(np.sum((u - w_mean) ** 2) + (b - b_mean) ** 2 for u, b in moves)
        assert variance[i] == pytest.approx(total, rel=1e-9)
        expected = np.sum((w_mean - w) ** 2) + b_mean**2
        assert bias2[i] == pytest.approx(expected, rel=1e-9, abs=1e-20)


def test_k_fold_takes_a_seed_and_says_that_it_needs_two_rows():
    X, y = draw(20, 3)
    expected = nb.k_fold_mse(X, y, [1.0], 4, np.random.default_rng(0))
    np.testing.assert_array_equal(nb.k_fold_mse(X, y, [1.0], 4, rng=0), expected)
    with pytest.raises(ValueError, match=r"^X: expected at least 2 rows, got 1$"):
        nb.k_fold_mse(X[:1], y[:1], [1.0], 2, rng=0)


def test_shapes_that_do_not_fit_are_refused_with_a_way_out():
    X, y = draw(20, 3)
    for bad, hint in [
        ((X, y[:, None]), r"^y: .* got shape \(20, 1\): use .ravel\(\)"),
        ((X, np.stack([y, y], axis=1)), r"^y: .* got shape \(20, 2\): give one column"),
        ((X[:, 0], y), r"^X: .* got shape \(20,\): use .reshape\(-1, 1\) of one column"),
    ]:
        with pytest.raises(ValueError, match=hint):
            nb.normal_equation(*bad)


def test_a_frame_and_a_series_are_matched_by_position():
    pandas = pytest.importorskip("pandas")
    X, y = draw(20, 3)
    frame = pandas.DataFrame(X, columns=["a", "b", "c"])
    series = pandas.Series(y, index=np.arange(20)[::-1])
    expected, _ = nb.normal_equation(X, y)
    np.testing.assert_allclose(nb.normal_equation(frame, series)[0], expected, rtol=1e-12)


@pytest.mark.parametrize("scale", [1.0, 1e-9, 1e9])
def test_scikit_learn_agrees_on_columns_of_many_scales(scale):
    linear_model = pytest.importorskip("sklearn.linear_model")
    X, y = draw(60, 5)
    X = X * np.array([1e-3, 1, 1e3, 10, 1]) * scale + 1e4 * scale
    lams = np.array([1e-2, 1.0, 100.0]) * scale**2
    W, b = nb.ridge_path(X, y, lams)
    for lam, w, intercept in zip(lams, W, b, strict=True):
        peer = linear_model.Ridge(alpha=lam, solver="svd", tol=1e-12).fit(X, y)
        np.testing.assert_allclose(w, peer.coef_, rtol=1e-6)
        assert intercept == pytest.approx(peer.intercept_, rel=1e-6)
