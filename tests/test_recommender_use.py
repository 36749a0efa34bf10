"""Predictions, recommendations, folds, and what a fit is worth."""

import tracemalloc
from copy import deepcopy

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from recommender_cases import (
    SEEDS,
    hidden,
    largest_difference,
    nb,
    oracle,
    random_model,
    rmse,
    triples,
)

from common.synthetic import low_rank_ratings

# Predictions -----------------------------------------------------------------------------------


def test_predictions_are_the_matrix_entry_by_entry():
    model = random_model((5, 4), 3, np.random.default_rng(0))
    users, items = np.indices((5, 4))
    np.testing.assert_allclose(model.predict(users, items), model.matrix())
    assert model.predict(2, 3) == pytest.approx(model.matrix()[2, 3])
    assert model.predict([], []).shape == (0,)


@given(st.integers(0, 4), st.lists(st.integers(0, 3), max_size=5), SEEDS)
def test_users_are_broadcast_against_items(user, items, seed):
    model = random_model((5, 4), 3, np.random.default_rng(seed))
    items = np.array(items, dtype=int)
    np.testing.assert_allclose(model.predict(user, items), model.matrix()[user, items])
    np.testing.assert_allclose(model.predict([user], items), model.matrix()[user, items])
    np.testing.assert_allclose(model.predict(np.arange(5), 3), model.matrix()[:, 3])
    table = model.predict(np.arange(5)[:, None], items)
    np.testing.assert_allclose(table, model.matrix()[:, items])
    assert np.ndim(model.predict(user, 3)) == 0


def test_many_predictions_are_those_of_few():
    rng = np.random.default_rng(0)
    model = random_model((50, 40), 3, rng)
    users, items = rng.integers(0, 50, 150_000), rng.integers(0, 40, 150_000)
    np.testing.assert_allclose(model.predict(users, items), model.matrix()[users, items])


def test_predictions_are_clipped_only_when_asked():
    model = random_model((5, 4), 3, np.random.default_rng(0))
    model.mu = 100.0
    users, items = np.indices((5, 4))
    assert model.predict(users, items).max() > 50
    assert np.array_equal(model.predict(users, items, clip=(1, 5)), np.full((5, 4), 5.0))


@pytest.mark.parametrize(
    ("users", "items", "name"),
    [
        ([5], [0], "users"),
        ([-1], [0], "users"),
        ([0], [4], "items"),
        ([0.5], [0], "users"),
        ([0, 1], [0, 1, 2], "items"),
        ([[0], [1]], [[0, 1], [1, 2], [2, 3]], "items"),
    ],
)
def test_predictions_refuse_unknown_ids(users, items, name):
    with pytest.raises(ValueError, match=name):
        random_model((5, 4), 3, np.random.default_rng(0)).predict(users, items)


# What the fit is worth -------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [10])
def test_held_out_error_comes_to_the_oracle(seed):
    data = low_rank_ratings(1000, 800, 5, 0.1, 0.1, np.random.default_rng(seed))
    options = {"rank": 5, "epochs": 30, "lr": nb.linear_decay(0.1, 30), "biases": False}
    fit = nb.factorize(*data[:3], (1000, 800), rng=seed, **options)
    mask = hidden(data)
    error = rmse(fit.matrix()[mask], data.noisy[mask])
    assert error <= 1.09 * data.noise
    assert error <= 1.03 * rmse(oracle(data, 5, 15).matrix()[mask], data.noisy[mask])


def test_a_path_in_lambda_finds_small_tables():
    for seed in range(50, 56):
        data = low_rank_ratings(100, 100, 5, 0.1, 0.2, np.random.default_rng(seed))
        options = {"rank": 5, "epochs": 150, "lr": nb.linear_decay(0.15, 150), "biases": False}
        fit = nb.factorize(
            *data[:3], (100, 100), reg=nb.falling_reg(0.2, 0.0, 150), rng=seed, **options
        )
        mask = hidden(data)
        best = rmse(oracle(data, 5, 40).matrix()[mask], data.noisy[mask])
        assert rmse(fit.matrix()[mask], data.noisy[mask]) <= 1.25 * best


def test_memory_stays_below_150_bytes_per_rating():
    rng, count = np.random.default_rng(0), 60_000
    users, items = rng.integers(0, 600, count), rng.integers(0, 500, count)
    ratings = rng.standard_normal(count)
    tracemalloc.start()
    nb.factorize(users, items, ratings, (600, 500), rank=16, epochs=1, lr=0.01, rng=0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak / count + 24 <= 150  # 24 for the ratings themselves


# Recommendations -------------------------------------------------------------------------------


@given(triples(), SEEDS, st.integers(1, 8))
def test_the_top_n_are_the_best_unseen_by_brute_force(table, seed, n):
    users, items, _, shape = table
    model = random_model(shape, 2, np.random.default_rng(seed))
    user = int(users[0])
    seen = items[users == user]
    found = nb.top_n(model, user, seen, n).tolist()
    unseen = set(range(shape[1])) - set(seen.tolist())
    assert found == sorted(unseen, key=lambda i: -model.matrix()[user, i])[:n]


def test_nothing_is_recommended_to_who_has_seen_all_and_anything_to_who_has_seen_nothing():
    model = random_model((3, 4), 2, np.random.default_rng(0))
    assert nb.top_n(model, 1, [3, 2, 1, 0, 0], 2).tolist() == []
    assert sorted(nb.top_n(model, 1, [], 9).tolist()) == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("user", "seen", "n", "name"),
    [
        (3, [0], 1, "user"),
        (-1, [0], 1, "user"),
        (0.5, [0], 1, "user"),
        (0, [4], 1, "seen"),
        (0, [0.5], 1, "seen"),
        (0, [0], 0, "n:"),
        (0, [0], 1.0, "n:"),
        (9, [], 1, "user"),
        ([0, 1], [], 1, "user"),  # one at a time
    ],
)
def test_top_n_refuses_bad_input(user, seen, n, name):
    with pytest.raises(ValueError, match=name):
        nb.top_n(random_model((3, 4), 2, np.random.default_rng(0)), user, seen, n)


@pytest.mark.parametrize(("shape", "rank"), [((7, 5), 3), ((5, 7), 1), ((2, 6), 4), ((6, 2), 4)])
def test_principal_factors_are_the_singular_vectors_whatever_the_factors_were(shape, rank):
    rng = np.random.default_rng(1)
    model = random_model(shape, rank, rng)
    kept = deepcopy(model)
    found = nb.principal_factors(model)
    assert largest_difference(model, kept) == 0
    np.testing.assert_allclose(found.matrix(), model.matrix(), atol=1e-12)
    s = np.linalg.svd(model.P @ model.Q.T, compute_uv=False)[: min(*shape, rank)]
    for factors in (found.P, found.Q):  # orthogonal, in the order of their strength
        np.testing.assert_allclose(factors.T @ factors, np.diag(s), atol=1e-10)
    assert (found.Q.max(axis=0) == np.abs(found.Q).max(axis=0)).all()
    A = rng.standard_normal((rank, rank))
    model.P, model.Q = model.P @ A, model.Q @ np.linalg.inv(A).T
    assert largest_difference(nb.principal_factors(model), found) < 1e-8


@given(st.integers(2, 40), st.data(), SEEDS)
def test_folds_hold_each_rating_once_and_share_none(count, data, seed):
    k = data.draw(st.integers(2, count))
    folds = nb.k_folds(count, k, seed)
    assert sorted(np.concatenate([part for _, part in folds]).tolist()) == list(range(count))
    for rest, part in folds:
        assert sorted([*rest.tolist(), *part.tolist()]) == list(range(count))
        assert abs(len(part) - count / k) < 1


@pytest.mark.parametrize("k", [0, 1, 5, 2.0, True, None])
def test_bad_numbers_of_folds_are_refused(k):
    with pytest.raises(ValueError, match="k:"):
        nb.k_folds(4, k, 0)


def test_cross_validation_predicts_every_rating_from_the_others():
    data = low_rank_ratings(60, 50, 1, 0.1, 0.5, np.random.default_rng(0))
    options = {"rank": 1, "epochs": 40, "lr": nb.linear_decay(0.1, 40), "biases": False}
    options |= {"fit": nb.factorize, "rng": 1}
    settings = [{"reg": 1.0}, {"reg": 0.0}]
    errors, chosen = nb.cross_validate(*data[:3], (60, 50), settings, **options)
    assert errors.shape == chosen.shape == (5,)
    assert (chosen == 1).all()  # a λ of 1 leaves nothing of the signal
    assert 0.1 < errors.mean() < 0.13
    errors, chosen = nb.cross_validate(*data[:3], (60, 50), settings[:1], k=3, **options)
    assert errors.shape == (3,)
    assert errors.min() > 0.5
    assert (chosen == 0).all()


def test_the_error_of_a_part_ignores_what_the_part_says_when_fitting():
    users, items, ratings = low_rank_ratings(20, 15, 1, 0.1, 0.5, np.random.default_rng(0))[:3]
    ratings = np.sign(ratings)
    rest, part = nb.k_folds(len(users), 2, 0)[0]
    options = {"rank": 1, "epochs": 60, "lr": 0.1, "rng": 0}
    model = nb.factorize(*(a[rest] for a in (users, items, ratings)), (20, 15), **options)
    low, high = ratings[rest].min(), ratings[rest].max()
    ratings[part] = 1e6
    found = nb.error_on(part, rest, (users, items, ratings), (20, 15), nb.factorize, **options)
    free = model.predict(users[part], items[part])
    predicted = np.clip(free, low, high)
    assert (free != predicted).any()  # predictions are limited to what was rated
    assert found == pytest.approx(rmse(predicted, 1e6), rel=1e-12)


@pytest.mark.parametrize(
    ("settings", "name"),
    [([], "settings"), (None, "settings"), ([0.1], "settings"), ([{"reg": -1.0}], "reg")],
)
def test_cross_validation_refuses_bad_settings(settings, name):
    data = low_rank_ratings(10, 10, 1, 0.1, 0.5, np.random.default_rng(0))
    with pytest.raises(ValueError, match=f"{name}: "):
        nb.cross_validate(*data[:3], (10, 10), settings, fit=nb.als, rank=1, sweeps=1)


def test_zero_factors_stay_zero_so_that_biases_are_fitted_alone():
    rng = np.random.default_rng(0)
    users, items = np.divmod(rng.permutation(60)[:40], 10)
    ratings, n0, reg = rng.standard_normal(40), 3.0, 0.1
    zero = nb.FactorModel(0.2, *(np.zeros(s) for s in (6, 10, (6, 1), (10, 1))))
    fit = nb.als(users, items, ratings, (6, 10), rank=1, sweeps=200, reg=reg, n0=n0, start=zero)
    assert not fit.P.any()
    assert not fit.Q.any()
    A = np.zeros((40, 16))
    A[np.arange(40), users] = A[np.arange(40), 6 + items] = 1
    penalty = np.diag(reg * (A.sum(axis=0) + n0))
    expected = np.linalg.solve(A.T @ A + penalty, A.T @ (ratings - 0.2))
    np.testing.assert_allclose([*fit.user_bias, *fit.item_bias], expected, atol=1e-9)
