"""The exact optimum of the linear classifiers, against scikit-learn and calculus."""

import itertools
import math

import numpy as np
import pytest
import torch
from classification_cases import nb
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize

OF_MARGIN = ["logistic", "squared hinge"]


def linear_problem(n=150, d=12, seed=0, noise=1.0):
    """Two classes that overlap, so that the optimum exists whatever the penalty."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d))
    y = np.where(X @ rng.standard_normal(d) + 0.5 + noise * rng.standard_normal(n) > 0, 1.0, -1.0)
    y[:2] = -1, 1
    return X, y


def J(theta, X, y, loss, lam):
    value, *_ = nb.of_margin(loss, y * nb.linear_scores(theta, X))
    return value.mean() + lam / 2 * np.sum(theta[:-1] ** 2)


@pytest.mark.parametrize("loss", OF_MARGIN)
def test_slope_and_curvature_are_the_derivatives(loss):
    m = np.random.default_rng(0).uniform(-4, 4, 200)
    h = 1e-5
    low, middle, high = (nb.of_margin(loss, m + step) for step in (-h, 0, h))
    np.testing.assert_allclose(middle[1], (high[0] - low[0]) / (2 * h), atol=1e-8)
    away = np.abs(m - 1) > 2 * h
    np.testing.assert_allclose(middle[2][away], ((high[1] - low[1]) / (2 * h))[away], atol=1e-8)
    twin = nb.logistic_loss if loss == "logistic" else nb.squared_hinge_loss
    ours = twin(torch.from_numpy(m), torch.ones(200, dtype=torch.float64))
    assert middle[0].mean() == pytest.approx(ours.item(), rel=1e-13)


@pytest.mark.parametrize("loss", OF_MARGIN)
def test_losses_of_the_margin_are_finite_far_out(loss):
    assert np.isfinite(nb.of_margin(loss, np.array([-1e3, 1e3, -1e100, 1e100]))).all()


def test_gather_is_the_transpose_of_the_scores():
    rng = np.random.default_rng(0)
    X, theta, r = rng.standard_normal((7, 4)), rng.standard_normal(5), rng.standard_normal(7)
    assert r @ nb.linear_scores(theta, X) == pytest.approx(nb.gather(r, X) @ theta)


def test_conjugate_gradients_solve():
    rng = np.random.default_rng(0)
    A = rng.standard_normal((30, 20))
    H, g = A.T @ A + np.eye(20), rng.standard_normal(20)
    p = nb.conjugate_gradients(lambda v: H @ v, g, 1e-12)
    np.testing.assert_allclose(p, np.linalg.solve(H, g), atol=1e-10)


@pytest.mark.parametrize("loss", OF_MARGIN)
@pytest.mark.parametrize("lam", [1e-4, 1e-2, 1.0])
@pytest.mark.parametrize("solve", ["newton", "optimum"])
def test_the_optimum_is_scipys(loss, lam, solve):
    X, y = linear_problem()
    if solve == "newton":
        theta = nb.newton(X, y, loss, lam, np.zeros(13))
    else:
        theta = nb.optimum(X, y, loss, lam)
    best = optimize.minimize(
        J, np.zeros(13), (X, y, loss, lam), method="L-BFGS-B", options={"ftol": 1e-15, "gtol": 1e-9}
    )
    assert J(theta, X, y, loss, lam) <= best.fun * (1 + 1e-6)


@pytest.mark.parametrize("loss", OF_MARGIN)
@pytest.mark.parametrize(("n", "lam"), [(3000, 1e-3), (3000, 0.1), (2, 1), (3, 1e-3), (40, 10)])
def test_the_optimum_reaches_what_plain_newton_reaches_in_double_precision(loss, n, lam):
    X, y = linear_problem(n, 30, seed=n)
    plain = nb.newton(X, y, loss, lam, np.zeros(31), rel=1e-15)
    fast = nb.optimum(X, y, loss, lam)
    assert J(fast, X, y, loss, lam) <= J(plain, X, y, loss, lam) * (1 + 1e-6)


def exact(X, y, loss, lam):
    """Return theta by Newton's method on centred features, each system solved directly."""
    centre = X.mean(axis=0)
    A = np.column_stack([X - centre, np.ones(len(X))])
    lams = np.append(np.full(X.shape[1], lam), 0)
    theta = np.zeros(A.shape[1])
    for _ in range(60):
        _, slope, curvature = nb.of_margin(loss, y * (A @ theta))
        H = A.T @ (curvature[:, None] * A) / len(X) + np.diag(lams)
        theta = theta - np.linalg.solve(H, A.T @ (y * slope) / len(X) + lams * theta)
    return np.append(theta[:-1], theta[-1] - centre @ theta[:-1])


@pytest.mark.parametrize("loss", OF_MARGIN)
@pytest.mark.parametrize("offset", [0, 1e3, -1e4, 1e6])
def test_a_shift_of_the_features_changes_the_bias_alone(loss, offset):
    X, y = linear_problem(400, 3, seed=1, noise=0.2)
    lam, ends = 1e-3, np.array([offset, -offset, offset / 7])
    theta, moved = nb.optimum(X, y, loss, lam), nb.optimum(X + ends, y, loss, lam)
    np.testing.assert_allclose(moved[:-1], theta[:-1], rtol=1e-4)
    assert moved[-1] + ends @ moved[:-1] == pytest.approx(theta[-1], rel=1e-3, abs=1e-3)
    right = exact(X, y, loss, lam)
    np.testing.assert_allclose(theta, right, rtol=1e-4)
    assert J(moved, X + ends, y, loss, lam) <= J(right, X, y, loss, lam) * (1 + 1e-6)


@pytest.mark.parametrize("loss", OF_MARGIN)
@pytest.mark.parametrize("scales", [(1e-3, 1, 1e3), (1e5, 1, 1), (1e-6, 1e-6, 1e-6)])
def test_the_promise_holds_whatever_the_scales_of_the_features(loss, scales):
    X, y = linear_problem(400, 3, seed=1, noise=0.2)
    X, lam = X * scales, 1e-3
    best = J(nb.newton(X, y, loss, lam, exact(X, y, loss, lam), rel=1e-15), X, y, loss, lam)
    assert J(nb.optimum(X, y, loss, lam), X, y, loss, lam) <= best * (1 + 1e-6)


@pytest.mark.parametrize("loss", OF_MARGIN)
@pytest.mark.parametrize("solve", ["newton", "optimum"])
@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float32])
def test_whole_and_short_numbers_give_what_doubles_give(loss, solve, dtype):
    X, y = linear_problem(200, 4)
    X = np.clip(np.round(128 + 40 * X), 0, 255).astype(dtype)
    arguments = (y, loss, 1e-2, *([np.zeros(5)] if solve == "newton" else []))
    theta = getattr(nb, solve)(X, *arguments)
    expected = exact(X.astype(float), y, loss, 1e-2)
    assert np.abs(expected[:-1]).max() > 1e-3
    assert J(theta, X.astype(float), y, loss, 1e-2) <= J(
        expected, X.astype(float), y, loss, 1e-2
    ) * (1 + 1e-6)
    np.testing.assert_allclose(
        nb.linear_scores(theta, X), X.astype(float) @ theta[:-1] + theta[-1], rtol=1e-4, atol=1e-4
    )


def test_conjugate_gradients_of_nothing_are_nothing():
    assert not nb.conjugate_gradients(lambda v: 2 * v, np.zeros(3), 1e-9).any()


def test_newton_stays_at_the_minimum():
    X = np.array([[1.0], [-1.0], [1.0], [-1.0]])  # both labels at each place: w = b = 0 is best
    assert not nb.newton(X, np.array([1, 1, -1, -1]), "logistic", 0.1, np.zeros(2)).any()


@pytest.mark.parametrize("loss", ["hinge", "squared_hinge", nb.hinge_loss, None])
def test_another_loss_is_refused(loss):
    X, y = linear_problem(20, 2)
    for call in (nb.optimum, lambda *a: nb.newton(*a, np.zeros(3))):
        with pytest.raises(ValueError, match=r"^loss: expected .* got "):
            call(X, y, loss, 0.1)


@pytest.mark.parametrize("y", [np.arange(20) % 2, np.ones(20), np.ones(19), np.ones((20, 1))])
def test_newton_names_bad_labels(y):
    X, _ = linear_problem(20, 2)
    with pytest.raises(ValueError, match=r"^y: expected .* got "):
        nb.newton(X, y, "logistic", 0.1, np.zeros(3))


@pytest.mark.parametrize("loss", OF_MARGIN)
@settings(max_examples=8)
@given(seed=st.integers(0, 1000))
def test_the_optimum_does_not_depend_on_order_on_repeats_or_on_which_class_is_positive(loss, seed):
    X, y = linear_problem(30, 4, seed)
    theta = nb.optimum(X, y, loss, 0.1, rel=1e-12)
    order = np.random.default_rng(seed).permutation(30)
    for again in [
        nb.optimum(X[order], y[order], loss, 0.1, rel=1e-12),
        nb.optimum(np.repeat(X, 3, axis=0), np.repeat(y, 3), loss, 0.1, rel=1e-12),
        -nb.optimum(X, -y, loss, 0.1, rel=1e-12),
    ]:
        np.testing.assert_allclose(again, theta, atol=1e-3)


@pytest.mark.parametrize("loss", OF_MARGIN)
def test_the_optimum_beats_scikit_learn_or_ties(loss):
    linear_model = pytest.importorskip("sklearn.linear_model")
    svm = pytest.importorskip("sklearn.svm")
    X, y = linear_problem(800, 20)
    lam = 1e-2
    C = 1 / (len(X) * lam)
    if loss == "logistic":
        fit = linear_model.LogisticRegression(C=C, tol=1e-10, max_iter=10_000).fit(X, y)
    else:  # its bias is penalised, the less the greater the scaling
        fit = svm.LinearSVC(C=C, tol=1e-10, dual=False, intercept_scaling=1e3).fit(X, y)
    theirs = np.append(fit.coef_, fit.intercept_)
    ours = nb.optimum(X, y, loss, lam)
    assert J(ours, X, y, loss, lam) == pytest.approx(J(theirs, X, y, loss, lam), rel=1e-6)


def test_the_bias_is_not_penalised():
    X, y = linear_problem(200, 3)
    theta = nb.optimum(X, y, "logistic", 1e3)
    assert np.abs(theta[:-1]).max() < 1e-2
    rate = (y > 0).mean()
    assert theta[-1] == pytest.approx(math.log(rate / (1 - rate)), abs=0.02)


def test_newton_lowers_the_objective_in_every_step():
    X, y = linear_problem(300, 20, noise=0.1)
    for loss in OF_MARGIN:
        seen = []
        nb.newton(X, y, loss, 1e-5, np.full(21, 5.0), watch=seen.append)
        values = [J(theta, X, y, loss, 1e-5) for theta in seen]
        assert len(values) > 3
        assert all(b <= a + 1e-15 for a, b in itertools.pairwise(values))


def test_only_support_vectors_matter():
    X, y = linear_problem(300, 5, noise=0.3)
    theta = nb.newton(X, y, "squared hinge", 1e-2, np.zeros(6))
    sv = y * nb.linear_scores(theta, X) < 1
    assert 0 < sv.sum() < 300
    again = nb.newton(X[sv], y[sv], "squared hinge", 1e-2, np.zeros(6), c=1 / 300)
    np.testing.assert_allclose(again, theta, atol=1e-6)


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"X": np.zeros((0, 3))}, "X:"),
        ({"X": np.zeros(4)}, "X:"),
        ({"X": [[1.0], [2.0]]}, "y:"),
        ({"X": np.full((4, 2), np.nan)}, "X:"),
        ({"X": np.full((4, 2), np.inf)}, "X:"),
        ({"y": np.ones(3)}, "y:"),
        ({"y": np.ones(4)}, "y:"),
        ({"y": np.array([1, 7, 1, 7])}, "y:"),
        ({"y": np.array([1, -1, np.nan, 1])}, "y:"),
        ({"loss": "hinge"}, "loss:"),
        ({"lam": 0.0}, "lam:"),
        ({"lam": -1.0}, "lam:"),
        ({"lam": math.nan}, "lam:"),
        ({"lam": math.inf}, "lam:"),
        ({"lam": True}, "lam:"),
    ],
)
def test_the_optimum_names_the_bad_argument(changes, name):
    good = {"X": np.ones((4, 2)), "y": np.array([1, -1, 1, -1]), "loss": "logistic", "lam": 0.1}
    with pytest.raises(ValueError, match=name):
        nb.optimum(**good | changes)
