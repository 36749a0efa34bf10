"""What holds for ridge regression whatever the data."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from regression_cases import draw, nb, seeds


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
