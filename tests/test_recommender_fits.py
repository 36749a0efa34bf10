"""Whole fits by SGD and by alternating least squares: what both keep."""

from copy import deepcopy

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from recommender_cases import ARRAYS, SEEDS, fit_als, largest_difference, nb, rmse, triples

from common.synthetic import low_rank_ratings


def fit_sgd(users, items, ratings, shape, **options):
    return nb.factorize(
        users, items, ratings, shape, **{"rank": 2, "epochs": 5, "lr": 0.05} | options
    )


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


@pytest.mark.parametrize(("lr", "scale"), [(2.0, 1.0), (1e6, 1.0), (0.05, 1e6), (0.05, 1e99)])
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
    ("ratings", [1.0, 1e200]),
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
