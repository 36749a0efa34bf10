"""How the regression notebook chooses: errors left out, and bias and variance, by definition."""

import numpy as np
import pytest
from regression_cases import LAMS, SHAPES, draw, nb, refitted


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


def test_split_partitions_the_rows():
    train, test = nb.split(10, 3, np.random.default_rng(0))
    assert len(train) == 3
    assert sorted([*train, *test]) == list(range(10))
