"""The regression notebook's algorithms: independent references, properties, bad input."""

import numpy as np
import pytest
from hypothesis import given
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


# Against independent references ----------------------------------------------------------------


@pytest.mark.parametrize("offset", [0, 1e4])
@pytest.mark.parametrize(("n", "d"), SHAPES)
@pytest.mark.parametrize("lam", [1.0, 100.0])
def test_ridge_equals_least_squares_on_the_augmented_system(n, d, lam, offset):
    X, y = draw(n, d, offset=offset)
    w, b = nb.normal_equation(X, y, lam)
    W, bs = nb.ridge_path(X, y, [lam])
    w_ref, b_ref = augmented(X, y, lam)
    assert max(relative(w, w_ref), relative(W[0], w_ref)) < 1e-10
    scale = abs(b_ref) + np.abs(X.mean(axis=0) @ w_ref)
    assert max(abs(b - b_ref), abs(bs[0] - b_ref)) < 1e-10 * scale


@pytest.mark.parametrize("offset", [0, 1e4])
@pytest.mark.parametrize(("n", "d"), [(60, 8), (2_000, 100), (30, 30), (50, 200)])
def test_ridge_equals_scikit_learn(n, d, offset):
    linear_model = pytest.importorskip("sklearn.linear_model")
    X, y = draw(n, d, offset=offset)
    for lam in [1.0, 100.0]:
        reference = linear_model.Ridge(alpha=lam, solver="svd").fit(X, y)
        w, b = nb.normal_equation(X, y, lam)
        W, bs = nb.ridge_path(X, y, [lam])
        assert max(relative(w, reference.coef_), relative(W[0], reference.coef_)) < 1e-10
        assert max(abs(b - reference.intercept_), abs(bs[0] - b)) < 1e-10 * (1 + abs(b))


@pytest.mark.parametrize("offset", [0, 1e4, 1e6])
def test_least_squares_equals_scipy_whatever_the_solver(offset):
    linalg = pytest.importorskip("scipy.linalg")
    X, y = draw(200, 10, offset=offset)
    w_ref = linalg.lstsq(X - X.mean(axis=0), y - y.mean())[0]
    W, _ = nb.ridge_path(X, y, [0.0])
    for w in [
        nb.normal_equation(X, y)[0],
        nb.minimum_norm(X, y)[0],
        nb.qr_least_squares(X, y)[0],
        W[0],
    ]:
        assert relative(w, w_ref) < 1e-12


@pytest.mark.parametrize("offset", [0, 1e4])
@pytest.mark.parametrize(("n", "d"), SHAPES[:-2])
def test_leave_one_out_equals_refits(n, d, offset):
    X, y = draw(n, d, offset=offset)
    refits = [
        refitted(lambda A, t, lam=lam: nb.normal_equation(A, t, lam), X, y) for lam in LAMS[1:]
    ]
    np.testing.assert_allclose(nb.leave_one_out_mse(X, y, LAMS[1:]), refits, rtol=1e-9)


@pytest.mark.parametrize("d", [3, 18, 19, 20, 50])
def test_leave_one_out_at_zero_equals_refits_of_the_minimum_norm(d):
    X, y = draw(20, d)
    expected = refitted(nb.minimum_norm, X, y)
    np.testing.assert_allclose(nb.leave_one_out_mse(X, y, [0.0]), expected, rtol=1e-8)


def test_leave_one_out_with_a_row_that_alone_measures_a_feature():
    X, y = draw(20, 4)
    X[:, 0] = np.arange(20) == 3  # at λ = 0 the leverage of row 3 is 1
    np.testing.assert_allclose(
        nb.leave_one_out_mse(X, y, [0.0, 1.0]),
        [refitted(nb.minimum_norm, X, y), refitted(lambda A, t: nb.normal_equation(A, t, 1), X, y)],
        rtol=1e-9,
    )


@pytest.mark.parametrize(("n", "d"), [(60, 8), (20, 60)])
def test_leave_one_out_chooses_the_alpha_of_ridgecv(n, d):
    linear_model = pytest.importorskip("sklearn.linear_model")
    X, y = draw(n, d)
    alphas = np.logspace(-2, 3, 40)
    reference = linear_model.RidgeCV(alphas=alphas, store_cv_results=True).fit(X, y)
    expected = reference.cv_results_.mean(axis=0)
    np.testing.assert_allclose(nb.leave_one_out_mse(X, y, alphas), expected, rtol=1e-7)


@pytest.mark.parametrize(("n", "d"), SHAPES)
def test_hat_matrix_gives_dof_and_generalised_cross_validation(n, d):
    X, y = draw(n, d)
    Xc = X - X.mean(axis=0)
    for lam in [0.5, 20.0]:
        H = Xc @ np.linalg.solve(Xc.T @ Xc + lam * np.eye(d), Xc.T) + 1 / n
        gcv = np.mean((y - H @ y) ** 2) / (1 - np.trace(H) / n) ** 2
        np.testing.assert_allclose(nb.effective_dof(X, [lam]), np.trace(H) - 1, rtol=1e-9)
        np.testing.assert_allclose(nb.generalised_cv_mse(X, y, [lam]), gcv, rtol=1e-8)


@pytest.mark.parametrize("d", [19, 20, 50])
def test_generalised_cross_validation_of_the_minimum_norm_is_the_limit(d):
    X, y = draw(20, d)
    Xc, yc = X - X.mean(axis=0), y - y.mean()
    inverse = np.linalg.pinv(Xc @ Xc.T, rcond=1e-12)  # e → λ K⁺y, 1 - h → λ diag K⁺
    limit = 20 * np.sum((inverse @ yc) ** 2) / np.trace(inverse) ** 2
    np.testing.assert_allclose(nb.generalised_cv_mse(X, y, [0.0]), limit, rtol=1e-8)


def test_k_folds_as_many_as_rows_are_leave_one_out():
    X, y = draw(15, 4)
    k_fold = nb.k_fold_mse(X, y, LAMS, 15, np.random.default_rng(0))
    np.testing.assert_allclose(k_fold, nb.leave_one_out_mse(X, y, LAMS), rtol=1e-9)


@pytest.mark.parametrize(("n", "d"), [(40, 6), (10, 20)])
def test_bias_and_variance_equal_the_moments_over_all_unit_noises(n, d):
    # ŵ is linear in the noise, so n noise vectors, one for each row, give its exact covariance.
    X, _ = draw(n, d)
    w, noise, lam = np.linspace(-1, 1, d), 0.7, 2.0
    bias2, variance = nb.bias_variance(X, w, noise, [lam])
    w0, b0 = nb.normal_equation(X, X @ w, lam)
    assert bias2[0] == pytest.approx(np.sum((w0 - w) ** 2) + b0**2, rel=1e-9)
    moves = [nb.normal_equation(X, X @ w + row, lam) for row in noise * np.eye(n)]
    total = sum(np.sum((w1 - w0) ** 2) + (b1 - b0) ** 2 for w1, b1 in moves)
    assert variance[0] == pytest.approx(total, rel=1e-9)


def test_minimum_norm_is_the_limit_of_ridge_and_has_the_least_norm():
    X, y = draw(20, 50)
    w, b = nb.minimum_norm(X, y)
    np.testing.assert_allclose(X @ w + b, y, atol=1e-12)
    W, bs = nb.ridge_path(X, y, [0.0, 1e-9])
    assert relative(W[0], w) < 1e-12
    assert relative(W[1], w) < 1e-8
    assert bs[0] == pytest.approx(b)
    inside = np.linalg.pinv(X - X.mean(axis=0)) @ (X - X.mean(axis=0))
    assert np.linalg.norm(inside @ w - w) < 1e-12  # no part that the data does not see


@pytest.mark.parametrize("lam", [0.0, 5.0])
def test_gradient_descent_reaches_the_closed_form_at_its_rate(lam):
    X, y = draw(60, 10, offset=10)
    w, b = nb.normal_equation(X, y, lam)
    w_gd, b_gd, path = nb.gradient_descent(X, y, lam, 400)
    assert relative(w_gd, w) < 1e-10
    assert b_gd == pytest.approx(b, rel=1e-9)
    Xc = X - X.mean(axis=0)
    rate = 1 - 1 / np.linalg.cond(Xc.T @ Xc + lam * np.eye(10))
    distance = np.linalg.norm(path - w, axis=1)
    assert path.shape == (401, 10)
    assert np.all(distance[1:] <= rate * distance[:-1] + 1e-14)


def test_split_partitions_the_rows():
    train, test = nb.split(10, 3, np.random.default_rng(0))
    assert len(train) == 3
    assert sorted([*train, *test]) == list(range(10))


# Properties ------------------------------------------------------------------------------------


def everything(X, y, lam):
    """Weights and intercept by every solver that takes lam > 0, as rows."""
    W, b = nb.ridge_path(X, y, [lam])
    return np.array([np.append(*nb.normal_equation(X, y, lam)), np.append(W[0], b[0])])


problems = st.tuples(st.integers(2, 25), st.integers(1, 25), seeds)
positive = st.floats(0.1, 100)


@given(problems, positive, st.floats(-1e3, 1e3), st.floats(0.01, 100))
def test_shifting_and_scaling_y(problem, lam, shift, scale):
    X, y = draw(*problem)
    before, after = everything(X, y, lam), everything(X, scale * y + shift, lam)
    expected = scale * before
    expected[:, -1] += shift
    atol = 1e-11 * (scale + abs(shift))
    np.testing.assert_allclose(after, expected, rtol=1e-9, atol=atol)
    np.testing.assert_allclose(
        nb.leave_one_out_mse(X, scale * y + shift, [lam]),
        scale**2 * nb.leave_one_out_mse(X, y, [lam]),
        rtol=1e-8,
        atol=atol**2,
    )


@given(problems, positive)
def test_rotating_X_rotates_the_weights(problem, lam):
    X, y = draw(*problem)
    Q, _ = np.linalg.qr(np.random.default_rng(1).standard_normal((X.shape[1],) * 2))
    before, after = everything(X, y, lam), everything(X @ Q, y, lam)
    np.testing.assert_allclose(after[:, :-1], before[:, :-1] @ Q, atol=1e-10)
    np.testing.assert_allclose(after[:, -1], before[:, -1], atol=1e-10)
    for measure in [nb.leave_one_out_mse, nb.generalised_cv_mse]:
        np.testing.assert_allclose(measure(X @ Q, y, [lam]), measure(X, y, [lam]), rtol=1e-8)


@given(problems, positive)
def test_permuting_rows_changes_nothing(problem, lam):
    X, y = draw(*problem)
    order = np.random.default_rng(1).permutation(len(X))
    np.testing.assert_allclose(
        everything(X[order], y[order], lam), everything(X, y, lam), atol=1e-10
    )
    np.testing.assert_allclose(
        nb.leave_one_out_mse(X[order], y[order], [lam]),
        nb.leave_one_out_mse(X, y, [lam]),
        rtol=1e-8,
    )


@given(problems, positive, st.floats(-100, 100))
def test_shifting_X_moves_the_intercept_alone(problem, lam, shift):
    X, y = draw(*problem)
    before, after = everything(X, y, lam), everything(X + shift, y, lam)
    np.testing.assert_allclose(after[:, :-1], before[:, :-1], atol=1e-9)
    moved = before[:, -1] - shift * before[:, :-1].sum(axis=1)
    np.testing.assert_allclose(after[:, -1], moved, atol=1e-7)


@given(problems, positive, st.integers(2, 4))
def test_repeating_every_row_is_dividing_lambda(problem, lam, times):
    X, y = draw(*problem)
    again = everything(np.tile(X, (times, 1)), np.tile(y, times), times * lam)
    np.testing.assert_allclose(again, everything(X, y, lam), atol=1e-10)


@given(problems, positive, seeds)
def test_no_neighbour_has_a_lower_objective(problem, lam, seed):
    X, y = draw(*problem)

    def objective(v):
        return np.sum((y - X @ v[:-1] - v[-1]) ** 2) + lam * np.sum(v[:-1] ** 2)

    step = 1e-3 * np.random.default_rng(seed).standard_normal(X.shape[1] + 1)
    for v in everything(X, y, lam):
        assert objective(v) <= objective(v + step)


@given(problems)
def test_along_the_path_weights_shrink_and_training_error_grows(problem):
    X, y = draw(*problem)
    lams = np.append(0.0, np.logspace(-3, 4, 20))
    W, b = nb.ridge_path(X, y, lams)
    mse = np.mean((X @ W.T + b - y[:, None]) ** 2, axis=0)
    assert np.all(np.diff(np.linalg.norm(W, axis=1)) <= 1e-12)
    assert np.all(np.diff(mse) >= -1e-12)
    dof = nb.effective_dof(X, lams)
    assert np.all(np.diff(dof) < 0)
    assert dof[0] == pytest.approx(min(len(X) - 1, X.shape[1]))


# Edges -----------------------------------------------------------------------------------------


def test_one_example_predicts_itself():
    w, b = nb.normal_equation([[3.0, 4.0]], [7.0], 1.0)
    assert (*w, b) == (0, 0, 7)
    w, b = nb.minimum_norm([[3.0, 4.0]], [7.0])
    assert (*w, b) == (0, 0, 7)
    W, bs = nb.ridge_path([[3.0, 4.0]], [7.0], [0.0, 1.0])
    assert not W.any()
    assert bs.tolist() == [7, 7]
    assert nb.effective_dof([[3.0, 4.0]], [0.0, 1.0]).tolist() == [0, 0]


@pytest.mark.parametrize("value", [0.0, 0.1, 1e6 / 3])
def test_constant_columns_carry_no_weight(value):
    X, y = draw(30, 3)
    X[:, 1] = value
    with pytest.raises(np.linalg.LinAlgError, match="minimum_norm"):
        nb.normal_equation(X, y)
    for w in [
        nb.minimum_norm(X, y)[0],
        nb.normal_equation(X, y, 1.0)[0],
        *nb.ridge_path(X, y, LAMS)[0],
    ]:
        assert w[1] == 0
    everything_constant = np.full((30, 2), value)
    expected = np.mean((y - y.mean()) ** 2) * (30 / 29) ** 2
    for measure in [nb.leave_one_out_mse, nb.generalised_cv_mse]:
        np.testing.assert_allclose(measure(everything_constant, y, [0.0, 1.0]), expected)
    assert not nb.gradient_descent(everything_constant, y)[0].any()


@pytest.mark.parametrize("make", ["duplicate", "sum", "too many"])
def test_singular_problems_are_refused_with_a_way_out(make):
    X, y = draw(30, 29 if make == "too many" else 5)
    extra = {"duplicate": X[:, :1], "sum": X.sum(axis=1, keepdims=True), "too many": X[:, :1] ** 2}
    X = np.hstack([X, extra[make]])
    with pytest.raises(np.linalg.LinAlgError, match="minimum_norm, or a larger lam"):
        nb.normal_equation(X, y)
    w, b = nb.minimum_norm(X, y)
    W, bs = nb.ridge_path(X, y, [0.0])
    np.testing.assert_allclose(X @ w + b, X @ W[0] + bs[0], atol=1e-9)
    assert np.linalg.norm(w) < 10


def test_badly_scaled_columns_are_not_singular():
    X, y = draw(100, 3)
    scale = np.array([1e-6, 1.0, 1e6])
    w, _ = nb.normal_equation(X * scale, y)
    assert relative(w * scale, nb.normal_equation(X, y)[0]) < 1e-9


def test_an_ill_conditioned_path_keeps_the_accuracy_of_the_svd():
    rng = np.random.default_rng(0)
    U, _ = np.linalg.qr(nb.centred(rng.standard_normal((100, 8))))
    V, _ = np.linalg.qr(rng.standard_normal((8, 8)))
    X, w = U * np.logspace(0, -7, 8) @ V.T, rng.standard_normal(8)
    W, _ = nb.ridge_path(X, X @ w, [0.0])
    assert relative(W[0], w) < 1e-8  # κ = 1e7; by XᵀX it would be 1e-2 or nothing


@pytest.mark.parametrize("size", [1e-60, 1e-30, 1e30, 1e60])
@pytest.mark.parametrize(("n", "d"), [(30, 4), (20, 50)])
def test_huge_and_tiny_data(n, d, size):
    X, y = draw(n, d)
    w = nb.minimum_norm(X, y)[0]
    lams = np.array([0.0])
    if n > d:
        assert relative(nb.normal_equation(X * size, y)[0] * size, w) < 1e-12
    assert relative(nb.minimum_norm(X * size, y)[0] * size, w) < 1e-12
    assert relative(nb.ridge_path(X * size, y * size, lams)[0][0], w) < 1e-12
    expected = nb.leave_one_out_mse(X, y, lams)
    np.testing.assert_allclose(nb.leave_one_out_mse(X * size, y, lams), expected, rtol=1e-9)


def test_a_perfect_fit_has_no_error_and_a_huge_lambda_predicts_the_mean():
    X, _ = draw(30, 4)
    y = X @ np.arange(4.0) + 2
    assert nb.leave_one_out_mse(X, y, [0.0])[0] < 1e-25
    assert 0 <= nb.generalised_cv_mse(X, y, [0.0])[0] < 1e-25
    W, b = nb.ridge_path(X, y, [1e100])
    assert np.abs(W).max() < 1e-90
    assert b[0] == pytest.approx(y.mean())


def test_inputs_are_left_as_they_were_and_lists_will_do():
    X, y = draw(20, 3)
    X[:, 1] = 5
    X_before, y_before = X.copy(), y.copy()
    nb.normal_equation(X, y, 1)
    nb.ridge_path(X, y, LAMS)
    nb.leave_one_out_mse(X, y, LAMS)
    nb.gradient_descent(X, y, 1, 5)
    np.testing.assert_array_equal(X, X_before)
    np.testing.assert_array_equal(y, y_before)
    w, b = nb.normal_equation([[0], [1], [2]], [1, 3, 5])
    assert (w[0], b) == (pytest.approx(2), pytest.approx(1))


# Bad input -------------------------------------------------------------------------------------

X_OK, Y_OK = draw(6, 2)
FITS = {
    "normal_equation": lambda X, y: nb.normal_equation(X, y),
    "minimum_norm": lambda X, y: nb.minimum_norm(X, y),
    "qr_least_squares": lambda X, y: nb.qr_least_squares(X, y),
    "ridge_path": lambda X, y: nb.ridge_path(X, y, [1.0]),
    "leave_one_out_mse": lambda X, y: nb.leave_one_out_mse(X, y, [1.0]),
    "generalised_cv_mse": lambda X, y: nb.generalised_cv_mse(X, y, [1.0]),
    "k_fold_mse": lambda X, y: nb.k_fold_mse(X, y, [1.0], 2, np.random.default_rng(0)),
    "gradient_descent": lambda X, y: nb.gradient_descent(X, y),
}
BAD_X = {
    "empty": np.empty((0, 2)),
    "no columns": np.empty((6, 0)),
    "one axis": np.ones(6),
    "three axes": np.ones((6, 2, 1)),
    "nan": np.where(X_OK == X_OK[3, 1], np.nan, X_OK),
    "infinity": np.where(X_OK == X_OK[3, 1], np.inf, X_OK),
    "minus infinity": np.where(X_OK == X_OK[3, 1], -np.inf, X_OK),
    "too large to square": X_OK * 1e200,
    "text": np.full((6, 2), "1"),
    "complex": X_OK + 0j,
    "objects": X_OK.astype(object),
    "ragged": [[1.0, 2.0], [3.0]],
    "none": None,
}
BAD_Y = {
    "too short": Y_OK[:5],
    "a column": Y_OK[:, None],
    "nan": np.append(Y_OK[:5], np.nan),
    "infinity": np.append(Y_OK[:5], np.inf),
    "empty": [],
    "scalar": 1.0,
}
BAD_LAM = [-1.0, -1e-300, np.nan, np.inf, "1", None, [1.0], True, 1j]


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("bad", BAD_X)
def test_bad_X(fit, bad):
    with pytest.raises(ValueError, match=r"^X: "):
        FITS[fit](BAD_X[bad], Y_OK)


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("bad", BAD_Y)
def test_bad_y(fit, bad):
    with pytest.raises(ValueError, match=r"^y: "):
        FITS[fit](X_OK, BAD_Y[bad])


@pytest.mark.parametrize("lam", BAD_LAM)
def test_bad_lam(lam):
    with pytest.raises(ValueError, match=r"^lam: "):
        nb.normal_equation(X_OK, Y_OK, lam)
    with pytest.raises(ValueError, match=r"^lam: "):
        nb.gradient_descent(X_OK, Y_OK, lam)


@pytest.mark.parametrize(
    "lams", [*[[1.0, lam] for lam in BAD_LAM if lam is not True], [], 1.0, [[1.0]]]
)
def test_bad_lams(lams):
    for measure in [nb.ridge_path, nb.leave_one_out_mse, nb.generalised_cv_mse]:
        with pytest.raises(ValueError, match=r"^lams: "):
            measure(X_OK, Y_OK, lams)
    with pytest.raises(ValueError, match=r"^lams: "):
        nb.effective_dof(X_OK, lams)
    with pytest.raises(ValueError, match=r"^lams: "):
        nb.k_fold_mse(X_OK, Y_OK, lams, 2, np.random.default_rng(0))
    with pytest.raises(ValueError, match=r"^lams: "):
        nb.bias_variance(X_OK, [1.0, 2.0], 1.0, lams)


@pytest.mark.parametrize("k", [1, 0, -1, 7, 2.0, True, None])
def test_bad_k(k):
    with pytest.raises(ValueError, match=r"^k: "):
        nb.k_fold_mse(X_OK, Y_OK, LAMS, k, np.random.default_rng(0))


def test_other_bad_arguments():
    for steps in [0, -1, 2.0, True, None]:
        with pytest.raises(ValueError, match=r"^steps: "):
            nb.gradient_descent(X_OK, Y_OK, steps=steps)
    for step in [0, -1.0, np.nan, np.inf, "1"]:
        with pytest.raises(ValueError, match=r"^step: "):
            nb.gradient_descent(X_OK, Y_OK, step=step)
    for n_train in [0, 6, -1, 2.0, True, None]:
        with pytest.raises(ValueError, match=r"^n_train: "):
            nb.split(6, n_train, np.random.default_rng(0))
    with pytest.raises(ValueError, match=r"^n: "):
        nb.split(1, 1, np.random.default_rng(0))
    for measure in [nb.leave_one_out_mse, nb.generalised_cv_mse]:
        with pytest.raises(ValueError, match=r"^X: expected at least 2 rows"):
            measure([[1.0]], [1.0], [1.0])
    with pytest.raises(ValueError, match=r"^w: "):
        nb.bias_variance(X_OK, [1.0], 1.0, [1.0])
    with pytest.raises(ValueError, match=r"^noise: "):
        nb.bias_variance(X_OK, [1.0, 2.0], -1.0, [1.0])
