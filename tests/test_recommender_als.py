"""Alternating least squares, against independent references."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from recommender_cases import SEEDS, fit_als, largest_difference, nb, random_model, rmse, triples
from scipy.sparse import csr_array

from common.synthetic import low_rank_ratings


@given(triples(), SEEDS, st.integers(1, 3), st.booleans(), st.sampled_from([1e-3, 0.1, 2.0]))
def test_als_never_raises_its_objective(table, seed, rank, biases, reg):
    users, items, ratings, shape = table
    options = {"rank": rank, "sweeps": 6, "reg": reg, "biases": biases, "rng": seed}
    values = nb.als(users, items, ratings, shape, **options).history["objective"]
    assert np.diff(values).max() <= 1e-9 * (1 + values[0])


@given(triples(), SEEDS)
def test_a_half_step_is_ridge_regression_of_each_user(table, seed):
    linear_model = pytest.importorskip("sklearn.linear_model")
    users, items, ratings, shape = table
    rng = np.random.default_rng(seed)
    F, offset, reg = rng.standard_normal((shape[1], 2)), rng.standard_normal(shape[1]), 0.3
    counts = csr_array((np.ones(len(users)), (users, items)), shape=shape)
    sums = csr_array((ratings, (users, items)), shape=shape)
    found = nb.half_step(counts, sums, F, offset, reg)
    for u in range(shape[0]):
        own = users == u
        if own.any():
            ridge = linear_model.Ridge(alpha=reg * own.sum(), fit_intercept=False)
            ridge.fit(F[items[own]], ratings[own] - offset[items[own]])
            np.testing.assert_allclose(found[u], ridge.coef_, rtol=1e-7, atol=1e-9)
        else:
            assert not found[u].any()


@given(triples(), SEEDS)
def test_an_unpenalised_half_step_is_the_shortest_least_squares_solution(table, seed):
    users, items, ratings, shape = table
    F = np.random.default_rng(seed).standard_normal((shape[1], 3))
    counts = csr_array((np.ones(len(users)), (users, items)), shape=shape)
    sums = csr_array((ratings, (users, items)), shape=shape)
    found = nb.half_step(counts, sums, F, np.zeros(shape[1]), 0.0)
    for u in range(shape[0]):
        own = users == u
        best = np.linalg.lstsq(F[items[own]], ratings[own], rcond=1e-7)[0] if own.any() else 0
        residual = F[items[own]] @ (found[u] - best)
        np.testing.assert_allclose(residual, 0, atol=1e-5)


@pytest.mark.parametrize("seed", range(3))
def test_als_on_a_full_table_is_the_truncated_singular_value_decomposition(seed):
    data = low_rank_ratings(25, 18, 4, 0.3, 1.0, np.random.default_rng(seed))
    U, s, Vt = np.linalg.svd(data.noisy)
    fit = nb.als(*data[:3], (25, 18), rank=4, sweeps=300, biases=False, rng=seed)
    np.testing.assert_allclose(fit.matrix(), (U[:, :4] * s[:4]) @ Vt[:4], rtol=0, atol=1e-6)


@pytest.mark.parametrize("reg", [0.05, 0.2])
def test_als_with_a_penalty_on_a_full_table_shrinks_the_singular_values(reg):
    # Each p_u is penalised once per item and each q_i once per user, so the best factors of a
    # matrix cost λ √(n m) times its nuclear norm: soft thresholding of the singular values.
    n, m = 25, 18
    data = low_rank_ratings(n, m, 3, 0.3, 1.0, np.random.default_rng(0))
    U, s, Vt = np.linalg.svd(data.noisy, full_matrices=False)
    expected = (U * np.maximum(s - reg * np.sqrt(n * m), 0)) @ Vt
    fit = nb.als(*data[:3], (n, m), rank=m, sweeps=400, reg=reg, biases=False, rng=0)
    np.testing.assert_allclose(fit.matrix(), expected, rtol=0, atol=1e-3)


@given(triples(), SEEDS)
def test_als_takes_repeats_as_weights_and_any_order(table, seed):
    users, items, ratings, shape = table
    a = fit_als(users, items, ratings, shape, rng=seed)
    twice = [np.tile(x, 2) for x in (users, items, ratings)]
    assert largest_difference(a, fit_als(*twice, shape, rng=seed)) < 1e-7
    start = random_model(shape, 2, np.random.default_rng(seed))
    order = np.random.default_rng(seed).permutation(len(users))
    b = fit_als(users, items, ratings, shape, start=start)
    c = fit_als(users[order], items[order], ratings[order], shape, start=start)
    assert largest_difference(b, c) < 1e-7


def test_sgd_and_als_reach_the_same_table():
    data = low_rank_ratings(120, 90, 2, 0.1, 0.4, np.random.default_rng(0))
    rates = nb.linear_decay(0.1, 150)
    a = nb.factorize(*data[:3], (120, 90), rank=2, epochs=150, lr=rates, reg=0.02, rng=1)
    b = nb.als(*data[:3], (120, 90), rank=2, sweeps=60, reg=0.02, rng=2)
    assert rmse(a.matrix(), b.matrix()) <= 0.1 * data.noise


def test_where_lambda_is_lost_in_rounding_the_shortest_solution_is_taken():
    counts, features = nb.csr_array(np.ones((1, 2))), np.full((2, 2), 1e9)
    w = nb.half_step(counts, counts, features, np.zeros(2), 1e-6)  # both ratings are 1
    np.testing.assert_allclose(w, [[5e-10, 5e-10]], rtol=1e-9)
