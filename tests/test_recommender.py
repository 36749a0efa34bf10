"""The algorithms of the matrix-factorisation notebook."""

import hashlib
import json
import re
import tracemalloc
import zipfile
from copy import deepcopy
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array

from common.ratings import movielens_100k
from common.synthetic import low_rank_ratings
from tools.notebooks import algorithms
from tools.project import NOTEBOOKS

nb = algorithms("recommender-system")
ARRAYS = ("user_bias", "item_bias", "P", "Q")
SEEDS = st.integers(0, 10**6)


@st.composite
def triples(draw, most=40):
    """Up to `most` ratings of up to 8 users and 6 items, repeats included, and the shape."""
    n, m = draw(st.integers(1, 8)), draw(st.integers(1, 6))
    count = draw(st.integers(1, most))
    users = draw(st.lists(st.integers(0, n - 1), min_size=count, max_size=count))
    items = draw(st.lists(st.integers(0, m - 1), min_size=count, max_size=count))
    ratings = np.random.default_rng(draw(SEEDS)).standard_normal(count)
    return np.array(users), np.array(items), ratings, (n, m)


def random_model(shape, rank, rng, biases=True):
    n, m = shape
    b, c = (
        (rng.standard_normal(n), rng.standard_normal(m)) if biases else (np.zeros(n), np.zeros(m))
    )
    P, Q = rng.standard_normal((n, rank)), rng.standard_normal((m, rank))
    return nb.FactorModel(0.3 if biases else 0.0, b, c, P, Q, biases)


def rmse(a, b):
    return np.sqrt(np.mean((a - b) ** 2))


def largest_difference(a, b):
    return max(np.abs(getattr(a, name) - getattr(b, name)).max() for name in ARRAYS)


def hidden(data):
    mask = np.ones(data.truth.shape, dtype=bool)
    mask[data.users, data.items] = False
    return mask


def oracle(data, rank, sweeps=30):
    """Least squares started at the true factors."""
    U, s, Vt = np.linalg.svd(data.truth, full_matrices=False)
    P, Q = U[:, :rank] * np.sqrt(s[:rank]), Vt[:rank].T * np.sqrt(s[:rank])
    n, m = data.truth.shape
    start = nb.FactorModel(0.0, np.zeros(n), np.zeros(m), P, Q, False)
    return nb.als(*data[:3], (n, m), rank=rank, sweeps=sweeps, biases=False, start=start)


# Batches ---------------------------------------------------------------------------------------


@given(triples(), SEEDS)
def test_a_batch_repeats_nobody_and_the_batches_hold_every_rating_once(table, seed):
    users, items, _, _ = table
    batches = nb.conflict_free_batches(users, items, np.random.default_rng(seed))
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(users)))
    for batch in batches:
        assert len(batch) == len(set(users[batch].tolist())) == len(set(items[batch].tolist()))
    degree = max(np.bincount(users).max(), np.bincount(items).max())
    assert degree <= len(batches) <= 2 * degree - 1


@pytest.mark.parametrize(
    ("users", "items", "count"),
    [
        ([0], [0], 1),
        ([0, 1, 2, 3], [3, 2, 1, 0], 1),  # a matching
        ([5, 5, 5], [7, 7, 7], 3),  # one pair, three times
        ([0, 0, 0], [0, 1, 2], 3),  # a star
    ],
)
def test_number_of_batches_by_hand(users, items, count):
    assert len(nb.conflict_free_batches(users, items, np.random.default_rng(0))) == count


def test_many_ratings_are_coloured_part_by_part_and_still_properly():
    rng, count = np.random.default_rng(0), 130_000
    users, items = rng.integers(0, 3000, count), rng.integers(0, 2500, count)
    batches = nb.conflict_free_batches(users, items, rng)
    assert np.array_equal(np.sort(np.concatenate(batches)), np.arange(count))
    for ids in (users, items):
        assert all(np.bincount(ids[batch]).max() == 1 for batch in batches)


@given(triples(), SEEDS, st.integers(1, 3))
def test_blocks_are_coloured_in_a_permutation_that_ignores_labels(table, seed, block):
    users, items, _, (n, m) = table
    order = nb.colouring_order(users, items, np.random.default_rng(seed), block)
    assert sorted(order.tolist()) == list(range(len(users)))
    new_user, new_item = (np.random.default_rng(seed).permutation(size + 2) for size in (n, m))
    renamed = new_user[users], new_item[items]
    again = nb.colouring_order(*renamed, np.random.default_rng(seed), block)
    assert np.array_equal(order, again)
    ranks = {u: k for k, u in enumerate(dict.fromkeys(users.tolist()))}
    blocks = [ranks[u] // block for u in users[order].tolist()]
    assert blocks == sorted(blocks)


def test_a_table_of_many_blocks_needs_hardly_more_batches_than_its_degree():
    rng, count = np.random.default_rng(0), 60_000
    users, items = rng.integers(0, 6000, count), rng.integers(0, 5000, count)
    assert (
        nb.colouring_order(users, items, 0).tolist()
        != np.random.default_rng(0).permutation(count).tolist()
    )
    degree = max(np.bincount(users).max(), np.bincount(items).max())
    assert len(nb.conflict_free_batches(users, items, 0)) <= 1.2 * degree


def test_batches_come_from_the_generator_alone():
    data = low_rank_ratings(60, 40, 2, 0.1, 0.3, np.random.default_rng(0))
    a, b, c = (nb.conflict_free_batches(data.users, data.items, rng) for rng in (1, 1, 2))
    assert all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))
    assert not all(np.array_equal(x, y) for x, y in zip(a, c, strict=False))


@pytest.mark.parametrize("share", [0.05, 0.3, 1.0])
def test_greedy_needs_hardly_more_than_the_largest_degree(share):
    data = low_rank_ratings(200, 150, 2, 0.1, share, np.random.default_rng(0))
    degree = max(np.bincount(data.users).max(), np.bincount(data.items).max())
    batches = nb.conflict_free_batches(data.users, data.items, np.random.default_rng(1))
    assert len(batches) <= 1.5 * degree


@pytest.mark.parametrize(
    ("users", "items", "name"),
    [
        ([], [], "users"),
        ([[0]], [[0]], "users"),
        ([0, -1], [0, 0], "users"),
        ([0, 1], [0, -1], "items"),
        ([0.0, 1.0], [0, 1], "users"),
        ([0, 1], [True, False], "items"),
        ([0, 1], [0], "items"),
    ],
)
def test_batches_refuse_bad_ids(users, items, name):
    with pytest.raises(ValueError, match=name):
        nb.conflict_free_batches(users, items, np.random.default_rng(0))


# SGD -------------------------------------------------------------------------------------------


@given(triples(), SEEDS, st.integers(1, 4), st.booleans(), st.sampled_from([0.0, 0.3]))
def test_batches_do_what_the_loop_does(table, seed, rank, biases, reg):
    users, items, ratings, shape = table
    rng = np.random.default_rng(seed)
    a = random_model(shape, rank, rng, biases)
    b = deepcopy(a)
    batches = nb.conflict_free_batches(users, items, rng)
    one = nb.sgd_loop(users, items, ratings, a, np.concatenate(batches), 0.02, reg)
    two = nb.sgd_batches(users, items, ratings, b, batches, 0.02, reg)
    assert largest_difference(a, b) <= 1e-12
    assert one == pytest.approx(two, rel=1e-12)


def test_an_epoch_of_80_000_ratings_is_the_loop_in_that_order():
    data = low_rank_ratings(1000, 800, 5, 0.1, 0.1, np.random.default_rng(0))
    a = nb.start_model(*data[:3], (1000, 800), 3, True, np.random.default_rng(1))
    b = deepcopy(a)
    batches = nb.conflict_free_batches(data.users, data.items, np.random.default_rng(2))
    nb.sgd_loop(*data[:3], a, np.concatenate(batches), 0.05, 0.01)
    nb.sgd_batches(*data[:3], b, batches, 0.05, 0.01)
    assert largest_difference(a, b) <= 1e-12


def test_the_loop_updates_both_rows_from_their_old_values():
    model = nb.FactorModel(
        0.0, np.zeros(1), np.zeros(1), np.array([[2.0]]), np.array([[3.0]]), False
    )
    squares = nb.sgd_loop([0], [0], [7.0], model, [0], 0.1, 0.0)
    assert squares == 1.0
    assert model.P[0, 0] == pytest.approx(2.3)  # 2 + 0.1 · 1 · 3
    assert model.Q[0, 0] == pytest.approx(3.2)  # 3 + 0.1 · 1 · 2, the old 2


@given(triples(most=1), SEEDS, st.booleans())
def test_a_step_is_minus_the_gradient_by_finite_differences(table, seed, biases):
    users, items, ratings, shape = table
    model = random_model(shape, 2, np.random.default_rng(seed), biases)
    after, lr, reg, h = deepcopy(model), 1e-3, 0.2, 1e-5
    nb.sgd_batches(users, items, ratings, after, [slice(None)], lr, reg)
    for name in ARRAYS if biases else ("P", "Q"):
        array = getattr(model, name)
        for where in np.ndindex(array.shape):
            value, sides = array[where], []
            for nudge in (h, -h):
                array[where] = value + nudge
                sides.append(nb.objective(users, items, ratings, model, reg))
            array[where] = value
            step = (getattr(after, name)[where] - value) / lr
            assert step == pytest.approx(-(sides[0] - sides[1]) / (2 * h), abs=1e-7)


def test_without_biases_none_is_learned():
    data = low_rank_ratings(20, 15, 2, 0.1, 0.5, np.random.default_rng(0))
    fit = nb.factorize(*data[:3], (20, 15), rank=2, epochs=5, lr=0.1, biases=False, rng=0)
    assert fit.mu == 0
    assert not fit.user_bias.any()
    assert not fit.item_bias.any()


@given(triples())
def test_objective_is_the_sum_it_says(table):
    users, items, ratings, shape = table
    model, total = random_model(shape, 3, np.random.default_rng(0)), 0.0
    for u, i, r in zip(users, items, ratings, strict=True):
        e = r - (model.mu + model.user_bias[u] + model.item_bias[i] + model.P[u] @ model.Q[i])
        size = model.P[u] @ model.P[u] + model.Q[i] @ model.Q[i]
        total += e**2 / 2 + 0.7 / 2 * (size + model.user_bias[u] ** 2 + model.item_bias[i] ** 2)
    assert nb.objective(users, items, ratings, model, 0.7) == pytest.approx(total)


# The whole fit ---------------------------------------------------------------------------------


def fit_sgd(users, items, ratings, shape, **options):
    return nb.factorize(
        users, items, ratings, shape, **{"rank": 2, "epochs": 5, "lr": 0.05} | options
    )


def fit_als(users, items, ratings, shape, **options):
    return nb.als(users, items, ratings, shape, **{"rank": 2, "sweeps": 4, "reg": 0.1} | options)


FITS = pytest.mark.parametrize("fit", [fit_sgd, fit_als])


@FITS
@given(triples(), SEEDS, st.booleans())
def test_relabelling_changes_nothing_but_the_labels(fit, table, seed, biases):
    users, items, ratings, shape = table
    rng = np.random.default_rng(seed)
    new_user, new_item = rng.permutation(shape[0] + 3), rng.permutation(shape[1] + 2)
    a = fit(users, items, ratings, shape, rng=seed, biases=biases)
    renamed = (new_user[users], new_item[items], ratings, (shape[0] + 3, shape[1] + 2))
    b = fit(*renamed, rng=seed, biases=biases)
    for name, label in zip(ARRAYS, (new_user, new_item) * 2, strict=True):
        old, new = getattr(a, name), getattr(b, name)
        np.testing.assert_allclose(new[label[: len(old)]], old, rtol=1e-9, atol=1e-9)


def test_relabelling_leaves_sgd_equal_to_the_last_bit():
    data = low_rank_ratings(50, 40, 3, 0.1, 0.3, np.random.default_rng(0))
    user, item = np.random.default_rng(1).permutation(50), np.random.default_rng(2).permutation(40)
    a = fit_sgd(*data[:3], (50, 40), rng=3)
    b = fit_sgd(user[data.users], item[data.items], data.ratings, (50, 40), rng=3)
    assert np.array_equal(b.P[user], a.P)
    assert np.array_equal(b.Q[item], a.Q)
    assert np.array_equal(b.user_bias[user], a.user_bias)


@given(st.lists(st.integers(0, 9), min_size=1, max_size=30))
def test_by_appearance_keeps_first_occurrences(ids):
    assert nb.by_appearance(np.array(ids), 12).tolist() == list(dict.fromkeys(ids))


@FITS
@given(triples(), SEEDS, st.booleans())
def test_unseen_users_and_items_get_the_bias_prediction(fit, table, seed, biases):
    users, items, ratings, (n, m) = table
    model = fit(users, items, ratings, (n + 1, m + 1), rng=seed, biases=biases)
    assert model.mu == (pytest.approx(ratings.mean()) if biases else 0)
    assert model.predict([n], [m])[0] == model.mu
    for u in range(n):
        assert model.predict([u], [m])[0] == pytest.approx(model.mu + model.user_bias[u])
    for i in range(m):
        assert model.predict([n], [i])[0] == pytest.approx(model.mu + model.item_bias[i])


@pytest.mark.parametrize("biases", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_rank_one_fully_observed_without_noise_is_recovered(biases, seed):
    data = low_rank_ratings(30, 20, 1, 0.0, 1.0, np.random.default_rng(seed))
    options = {"rank": 1, "biases": biases, "rng": seed}
    sgd = nb.factorize(*data[:3], (30, 20), epochs=400, lr=0.05, **options)
    assert np.abs(sgd.matrix() - data.truth).max() <= 1e-6
    least_squares = nb.als(*data[:3], (30, 20), sweeps=200, **options)
    assert np.abs(least_squares.matrix() - data.truth).max() <= 1e-6


@pytest.mark.parametrize("scale", [1e-3, 7.0, 1e4])
def test_ratings_in_other_units_give_the_same_fit_in_other_units(scale):
    users, items, ratings = low_rank_ratings(30, 20, 2, 0.1, 0.4, np.random.default_rng(0))[:3]
    options = {"rank": 2, "epochs": 20, "biases": False, "rng": 1}
    a = nb.factorize(users, items, ratings, (30, 20), lr=0.1, reg=0.01, **options)
    b = nb.factorize(
        users, items, scale * ratings, (30, 20), lr=0.1 / scale, reg=0.01 * scale, **options
    )
    np.testing.assert_allclose(b.matrix(), scale * a.matrix(), rtol=1e-8, atol=1e-8 * scale)


@FITS
def test_a_constant_added_to_all_ratings_goes_to_mu(fit):
    users, items, ratings = low_rank_ratings(30, 20, 2, 0.1, 0.4, np.random.default_rng(0))[:3]
    a, b = (fit(users, items, r, (30, 20), rng=1) for r in (ratings, ratings + 3.0))
    assert b.mu == pytest.approx(a.mu + 3)
    np.testing.assert_allclose(b.matrix(), a.matrix() + 3, rtol=0, atol=1e-9)


@FITS
@pytest.mark.parametrize("biases", [False, True])
def test_constant_ratings_and_a_single_rating(fit, biases):
    same = fit([0, 0, 1], [0, 1, 1], [2.5, 2.5, 2.5], (2, 2), rng=0)
    np.testing.assert_allclose(same.matrix(), 2.5)
    zero = fit([0, 1], [0, 1], [0.0, 0.0], (2, 2), rng=0, biases=biases)
    assert not zero.matrix().any()
    single = fit([4], [2], [-1.0], (5, 3), rng=0, biases=biases)
    assert np.isfinite(single.matrix()).all()


@FITS
def test_inputs_may_be_lists_and_small_types_and_are_left_alone(fit):
    data = low_rank_ratings(12, 9, 2, 0.1, 0.6, np.random.default_rng(0))
    users, items, ratings = (a.copy() for a in data[:3])
    a = fit(users, items, ratings, (12, 9), rng=0)
    for before, after in zip(data[:3], (users, items, ratings), strict=True):
        assert np.array_equal(before, after)
    b = fit(users.tolist(), items.astype(np.uint8), ratings.tolist(), [12, 9], rng=0)
    assert largest_difference(a, b) == 0


@FITS
def test_a_start_is_continued_and_left_alone(fit):
    data = low_rank_ratings(12, 9, 2, 0.1, 0.6, np.random.default_rng(0))
    start = fit(*data[:3], (12, 9), rng=0)
    kept = deepcopy(start)
    after = fit(*data[:3], (12, 9), rng=0, start=start)
    assert largest_difference(start, kept) == 0
    assert start.history == kept.history
    assert len(after.history["seconds"]) == len(start.history["seconds"])  # of this fit alone
    assert largest_difference(after, kept) > 0
    before, now = (nb.objective(*data[:3], model, 0.1) for model in (kept, after))
    assert fit is fit_sgd or now <= before


@FITS
def test_a_start_of_another_kind_is_refused(fit):
    data = low_rank_ratings(12, 9, 2, 0.1, 0.6, np.random.default_rng(0))
    start = fit(*data[:3], (12, 9), rng=0)
    for options in ({"rank": 3}, {"biases": False}):
        with pytest.raises(ValueError, match="start"):
            fit(*data[:3], (12, 9), start=start, **options)
    with pytest.raises(ValueError, match="start"):
        fit(*data[:3], (13, 9), start=start)


def test_history_holds_what_each_epoch_did():
    data = low_rank_ratings(30, 20, 2, 0.1, 0.5, np.random.default_rng(0))
    fit = fit_sgd(*data[:3], (30, 20), rng=0, epochs=7, watch={"seen": data[:3]})
    assert {name: len(values) for name, values in fit.history.items()} == {
        "seconds": 7,
        "observed": 7,
        "seen": 7,
    }
    assert fit.history["seen"][-1] == rmse(fit.predict(data.users, data.items), data.ratings)
    assert min(fit.history["seconds"]) > 0
    still = fit_sgd(*data[:3], (30, 20), rng=0, epochs=1, lr=0.0, watch={"seen": data[:3]})
    assert still.history["observed"] == pytest.approx(still.history["seen"])


def test_one_rate_per_epoch_is_the_rate_of_that_epoch():
    data = low_rank_ratings(30, 20, 2, 0.1, 0.5, np.random.default_rng(0))
    constant = fit_sgd(*data[:3], (30, 20), rng=0, reg=0.1)
    listed = fit_sgd(*data[:3], (30, 20), rng=0, lr=5 * [0.05], reg=np.full(5, 0.1))
    stopped = fit_sgd(*data[:3], (30, 20), rng=0, lr=[0.05, 0.05, 0, 0, 0], reg=0.1)
    assert largest_difference(constant, listed) == 0
    assert largest_difference(stopped, fit_sgd(*data[:3], (30, 20), rng=0, reg=0.1, epochs=2)) == 0


def test_schedules():
    assert nb.linear_decay(0.4, 4) == pytest.approx([0.4, 0.3, 0.2, 0.1])
    assert nb.falling_reg(0.4, 0.1, 8) == pytest.approx([0.4, 0.3, 0.2, 0.1, 0.1, 0.1, 0.1, 0.1])


@pytest.mark.parametrize(("lr", "scale"), [(2.0, 1.0), (1e6, 1.0), (0.05, 1e6), (0.05, 1e200)])
def test_a_rate_that_diverges_stops_with_a_message(lr, scale):
    users, items, ratings = low_rank_ratings(40, 30, 3, 0.1, 0.5, np.random.default_rng(0))[:3]
    with pytest.raises(FloatingPointError, match="lr: SGD diverged in epoch"):
        nb.factorize(users, items, scale * ratings, (40, 30), rank=3, epochs=50, lr=lr, rng=0)


def test_the_last_update_of_the_last_epoch_may_not_overflow_unseen():
    with pytest.raises(FloatingPointError, match="lr"):
        nb.factorize([0, 1], [0, 1], [1.0, 2.0], (2, 2), rank=1, epochs=1, lr=1e308, reg=1e3, rng=0)


def test_errors_that_grow_without_overflowing_yet_are_divergence_too():
    options = {"rank": 1, "epochs": 3, "biases": False, "rng": 0}
    with pytest.raises(FloatingPointError, match="lr: SGD diverged in epoch 3"):
        nb.factorize([0], [0], [1.0], (1, 1), lr=40.0, **options)


GOOD = {"users": [0, 1], "items": [0, 1], "ratings": [1.0, 2.0], "shape": (2, 2), "rank": 1}
BAD = [
    ("users", []),
    ("users", [0, 2]),
    ("users", [0, -1]),
    ("users", [0.0, 1.0]),
    ("users", [True, False]),
    ("users", ["a", "b"]),
    ("users", [[0, 1]]),
    ("items", [0, 2]),
    ("items", [0]),
    ("items", [0, 1, 1]),
    ("items", [0, np.nan]),
    ("ratings", [1.0]),
    ("ratings", [1.0, np.nan]),
    ("ratings", [1.0, np.inf]),
    ("ratings", [True, False]),
    ("ratings", ["1", "2"]),
    ("ratings", [1j, 2.0]),
    ("ratings", [[1.0, 2.0]]),
    ("shape", (2,)),
    ("shape", 2),
    ("shape", (2, 0)),
    ("shape", (2.0, 2)),
    ("shape", None),
    ("rank", 0),
    ("rank", -1),
    ("rank", 1.0),
    ("rank", True),
    ("rank", None),
    ("reg", -0.1),
    ("reg", np.nan),
    ("reg", np.inf),
    ("reg", [0.1, 0.2]),
    ("reg", "0.1"),
]


@FITS
@pytest.mark.parametrize(("name", "value"), BAD)
def test_bad_input_is_refused_by_name(fit, name, value):
    with pytest.raises(ValueError, match=name):
        fit(**GOOD | {name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [("epochs", 0), ("epochs", 2.0), ("lr", -0.1), ("lr", np.nan), ("lr", None), ("lr", [0.1])],
)
def test_bad_epochs_and_rates_are_refused(name, value):
    with pytest.raises(ValueError, match=name):
        fit_sgd(**GOOD | {name: value})


def test_bad_sweeps_and_watched_triples_are_refused():
    with pytest.raises(ValueError, match="sweeps"):
        fit_als(**GOOD, sweeps=0)
    for fit in (fit_sgd, fit_als):
        with pytest.raises(ValueError, match="users"):
            fit(**GOOD, watch={"held-out": ([2], [0], [1.0])})
        with pytest.raises(ValueError, match="ratings"):
            fit(**GOOD, watch={"held-out": ([1], [0], [np.nan])})


def test_empty_input_is_refused():
    with pytest.raises(ValueError, match="users"):
        nb.factorize([], [], [], (2, 2), rank=1, epochs=1, lr=0.1)


# Predictions -----------------------------------------------------------------------------------


def test_predictions_are_the_matrix_entry_by_entry():
    model = random_model((5, 4), 3, np.random.default_rng(0))
    users, items = np.indices((5, 4))
    np.testing.assert_allclose(model.predict(users, items), model.matrix())
    assert model.predict(2, 3) == pytest.approx(model.matrix()[2, 3])
    assert model.predict([], []).shape == (0,)


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
        ([0, 1], [0], "items"),
    ],
)
def test_predictions_refuse_unknown_ids(users, items, name):
    with pytest.raises(ValueError, match=name):
        random_model((5, 4), 3, np.random.default_rng(0)).predict(users, items)


# Alternating least squares ---------------------------------------------------------------------


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
    errors, chosen = nb.cross_validate(*data[:3], (60, 50), [0.0, 1.0], rng=1, **options)
    assert errors.shape == chosen.shape == (5,)
    assert (chosen == 0).all()  # a λ of 1 leaves nothing of the signal
    assert 0.1 < errors.mean() < 0.13
    errors, chosen = nb.cross_validate(*data[:3], (60, 50), [1.0], k=3, rng=1, **options)
    assert errors.shape == (3,)
    assert errors.min() > 0.5
    assert (chosen == 1).all()


def test_the_error_of_a_part_ignores_what_the_part_says_when_fitting():
    users, items, ratings = low_rank_ratings(20, 15, 1, 0.1, 0.5, np.random.default_rng(0))[:3]
    ratings = np.sign(ratings)
    rest, part = nb.k_folds(len(users), 2, 0)[0]
    options = {"rank": 1, "epochs": 60, "lr": 0.1, "rng": 0}
    model = nb.factorize(*(a[rest] for a in (users, items, ratings)), (20, 15), **options)
    low, high = ratings[rest].min(), ratings[rest].max()
    ratings[part] = 1e6
    found = nb.error_on(part, rest, (users, items, ratings), (20, 15), **options)
    free = model.predict(users[part], items[part])
    predicted = np.clip(free, low, high)
    assert (free != predicted).any()  # predictions are limited to what was rated
    assert found == pytest.approx(rmse(predicted, 1e6), rel=1e-12)


@pytest.mark.parametrize("regs", [[], 0.1, [-1.0, 0.1], [np.nan]])
def test_cross_validation_refuses_bad_penalties(regs):
    data = low_rank_ratings(10, 10, 1, 0.1, 0.5, np.random.default_rng(0))
    with pytest.raises(ValueError, match="reg"):
        nb.cross_validate(*data[:3], (10, 10), regs, rank=1, epochs=1, lr=0.1)


# The section on real ratings -------------------------------------------------------------------


def real_section():
    """Return the exempt cells of the notebook's section on real ratings."""
    cells = json.loads(NOTEBOOKS[3].read_text(encoding="utf-8"))["cells"]
    text = ["".join(cell["source"]) for cell in cells]
    start = next(k for k, source in enumerate(text) if source.startswith("## 13. Real ratings"))
    end = next(k for k in range(start + 1, len(text)) if text[k].startswith("## "))
    exempt = "nbval-ignore-output"
    return [c for c in cells[start:end] if exempt in c["metadata"].get("tags", [])]


def run_real_section(path=None):
    """Execute it as a program does, with `path` in place of the reader's own file."""

    def get_ipython():
        return SimpleNamespace(get_parent=lambda: {"content": {"allow_stdin": False}})

    namespace = dict(vars(nb)) | {"get_ipython": get_ipython, "movielens_100k": movielens_100k}
    for cell in real_section():
        code = "".join(cell["source"])
        if path:
            code = re.sub("^own = None", f"own = {str(path)!r}", code)
        exec(compile(code, "real", "exec"), namespace)
    return namespace


def test_nothing_of_real_ratings_is_stored():
    """MovieLens must not be passed on: refresh with ML_DATA_DIR at a folder without ml-100k.zip."""
    assert len(real_section()) == 4
    assert all(cell["outputs"] == [] for cell in real_section())


def test_without_real_ratings_their_section_says_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("ML_DATA_DIR", str(tmp_path))
    assert run_real_section()["real"] is None
    assert capsys.readouterr() == ("", "")


def real_looking(rng, n, m, count):
    """Ratings from 1 to 5 of a low-rank truth with levels, unevenly spread, as strings."""
    p = np.outer(rng.lognormal(0, 0.7, n), rng.lognormal(0, 0.7, m)).ravel()
    users, items = np.divmod(rng.choice(n * m, count, replace=False, p=p / p.sum()), m)
    truth = 3.5 + 0.5 * (rng.standard_normal((n, 1)) + rng.standard_normal(m))
    truth += 0.5 * rng.standard_normal((n, 2)) @ rng.standard_normal((m, 2)).T
    noisy = truth[users, items] + 0.5 * rng.standard_normal(count)
    return users + 1, items + 1, np.clip(np.round(noisy), 1, 5).astype(int)


@pytest.mark.parametrize("kind", ["own", "movielens"])
def test_the_real_section_works_on_ratings_that_look_real(tmp_path, monkeypatch, capsys, kind):
    rows = list(zip(*real_looking(np.random.default_rng(0), 90, 120, 3000), strict=True))
    path = tmp_path / "own.csv"
    if kind == "own":
        lines = ["user,item,rating", *(f"user {u},film {i},{r}" for u, i, r in rows)]
        path.write_text("\n".join(lines), encoding="utf-8")
    else:
        path, archive = None, tmp_path / "ml-100k.zip"
        with zipfile.ZipFile(archive, "w") as files:
            lines = [f"{u}\t{i}\t{r}\t881250949" for u, i, r in rows]
            files.writestr("ml-100k/u.data", "\n".join(lines))
            lines = [f"{i + 1}|film {i + 1}|||" for i in range(120)]
            files.writestr("ml-100k/u.item", "\n".join(lines))
        md5 = hashlib.md5(archive.read_bytes()).hexdigest()
        monkeypatch.setattr("common.ratings.MOVIELENS_MD5", md5)
        monkeypatch.setenv("ML_DATA_DIR", str(tmp_path))
    found = run_real_section(path)
    printed = capsys.readouterr().out
    assert "3,000 ratings from 1 to 5, 90 users" in printed
    # Surprise's figures are those of MovieLens alone.
    assert ("published by Surprise: SVD 0.934, SVD++ 0.919" in printed) == (kind == "movielens")
    quality = float(re.search(r"this page: RMSE ([\d.]+)", printed).group(1))
    assert quality < 0.9 * found["scale"]
    real, best = found["real"], found["best"]
    assert not set(best) & set(real.items[real.users == found["user"]])
    assert len(best) == 8
    assert printed.count(" | film ") == 18
