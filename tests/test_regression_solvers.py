"""The regression notebook's solvers: independent references and edges."""

import numpy as np
import pytest
from regression_cases import LAMS, SHAPES, augmented, draw, nb, relative

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
    with pytest.warns(UserWarning, match="all but depend on each other"):
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
