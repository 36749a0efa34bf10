"""One user more, reasons, items alike, baselines and files of the recommender notebook."""

import io

import numpy as np
import pytest
from bad_arguments import refuses
from hypothesis import given
from hypothesis import strategies as st
from recommender_cases import ARRAYS, SEEDS, largest_difference, nb, random_model, triples

from common.synthetic import low_rank_ratings

RATED = st.lists(st.integers(0, 8), min_size=1, max_size=6)


def by_normal_equations(model, items, ratings, reg, n0):
    """Bias and factors of a user who gave these ratings, one sum after the other."""
    k = model.Q.shape[1]
    A, right = reg * max(len(items) + n0, 1) * np.eye(k + 1), np.zeros(k + 1)
    for i, r in zip(items, ratings, strict=True):
        f = np.append(1, model.Q[i])
        A += np.outer(f, f)
        right += (r - model.mu - model.item_bias[i]) * f
    return np.linalg.solve(A, right)


@given(RATED, SEEDS, st.integers(1, 4), st.sampled_from([0.0, 3.0]))
def test_a_new_user_is_the_ridge_regression_of_their_ratings(items, seed, rank, n0):
    rng = np.random.default_rng(seed)
    model, ratings = random_model((5, 9), rank, rng), rng.standard_normal(len(items))
    found = nb.add_user(model, items, ratings, 0.3, n0)
    w = by_normal_equations(model, items, ratings, 0.3, n0)
    np.testing.assert_allclose(np.append(found.user_bias[-1], found.P[-1]), w, atol=1e-9)
    assert found.P.shape == (6, rank)
    before = model.matrix()
    assert np.array_equal(found.matrix()[:5], before)
    found.Q[:], found.item_bias[:], found.P[:] = 9, 9, 9
    assert np.array_equal(
        model.matrix(), random_model((5, 9), rank, np.random.default_rng(seed)).matrix()
    )


def test_a_user_taken_out_and_added_again_is_who_they_were():
    data = low_rank_ratings(60, 50, 2, 0.1, 0.4, np.random.default_rng(0))
    model = nb.als(*data[:3], (60, 50), rank=2, sweeps=200, reg=0.05, n0=2.0, rng=0)
    mine = data.users == 7
    again = nb.add_user(model, data.items[mine], data.ratings[mine], 0.05, 2.0)
    np.testing.assert_allclose(again.P[-1], model.P[7], atol=1e-6)
    assert again.user_bias[-1] == pytest.approx(model.user_bias[7], abs=1e-6)


@pytest.mark.parametrize("biases", [True, False])
@pytest.mark.parametrize("reg", [0.0, 0.2])
@given(RATED, SEEDS, st.sampled_from([0.0, 5.0]))
def test_reasons_add_up_to_the_prediction(biases, reg, items, seed, n0):
    rng = np.random.default_rng(seed)
    model, ratings = random_model((3, 9), 2, rng, biases), rng.standard_normal(len(items))
    which = [8, 0, 3]
    parts = nb.reasons(model, items, ratings, which, reg, n0)
    assert parts.shape == (3, len(items))
    added = nb.add_user(model, items, ratings, reg, n0)
    expected = added.predict(3, which) - model.mu - model.item_bias[which]
    np.testing.assert_allclose(parts.sum(axis=1), expected, atol=1e-7)


def test_a_reason_is_what_the_prediction_loses_when_a_rating_is_what_was_expected():
    rng = np.random.default_rng(0)
    model, items, ratings = random_model((3, 9), 2, rng), [1, 4, 6], rng.standard_normal(3)
    parts = nb.reasons(model, items, ratings, [2], 0.1, 1.0)
    for t in range(3):
        flat = ratings.copy()
        flat[t] = model.mu + model.item_bias[items[t]]
        lost = [nb.add_user(model, items, r, 0.1, 1.0).predict(3, 2) for r in (ratings, flat)]
        assert lost[0] - lost[1] == pytest.approx(parts[0, t])


def test_items_alike_are_those_whose_columns_of_predicted_tastes_correlate():
    model = random_model((40, 12), 3, np.random.default_rng(0))
    tastes = model.P @ model.Q.T
    cosine = tastes.T @ tastes[:, 5] / np.linalg.norm(tastes, axis=0)
    among = [0, 1, 2, 5, 7, 9]
    expected = sorted({*among} - {5}, key=lambda i: -cosine[i])[:3]
    assert nb.near(model, 5, among, 3).tolist() == expected
    model.Q[5] = 0
    assert len(nb.near(model, 5, among, 3)) == 3


@pytest.mark.parametrize("names", [np.array(["a", "ö", "c,d"]), ["a", "ö", 3]])
def test_a_saved_model_comes_back_with_its_names_and_numbers(tmp_path, names):
    model = random_model((3, 2), 2, np.random.default_rng(0), biases=False)
    items = np.array(["x", 'say "y"'])
    for file in (tmp_path / "model.npz", io.BytesIO()):
        nb.save(file, model, names, items, reg=0.1, scale=2)
        if isinstance(file, io.BytesIO):
            file.seek(0)
        again, users, found, numbers = nb.load(file)
        assert largest_difference(model, again) == 0
        assert (again.mu, again.learn_biases) == (model.mu, False)
        assert users.tolist() == [str(name) for name in names]
        assert found.tolist() == items.tolist()
        assert numbers == {"reg": 0.1, "scale": 2.0}
        assert all(getattr(again, name).dtype == float for name in ARRAYS)


def test_a_file_with_pickled_objects_is_not_loaded(tmp_path):
    parts = {name: np.zeros(1) for name in ("mu", "user_bias", "item_bias", "P", "learn_biases")}
    np.savez(tmp_path / "bad.npz", Q=np.array([{}], dtype=object), **parts)
    with pytest.raises(ValueError, match="allow_pickle"):
        nb.load(tmp_path / "bad.npz")


@given(triples(), st.sampled_from([0.0, 2.0]))
def test_the_biases_solve_their_equations(table, shrink):
    users, items, ratings, shape = table
    model = nb.bias_model(users, items, ratings, shape, shrink, sweeps=3000)
    rest = ratings - model.mu - model.user_bias[users] - model.item_bias[items]
    assert model.P.shape == (shape[0], 0)
    for ids, bias in ((users, model.user_bias), (items, model.item_bias)):
        slope = np.bincount(ids, rest, len(bias)) - shrink * bias
        np.testing.assert_allclose(slope, 0, atol=1e-6)
        assert not bias[np.bincount(ids, minlength=len(bias)) == 0].any()


@given(triples())
def test_baselines_are_means_and_a_line(table):
    users, items, ratings, shape = table
    found = nb.baseline_models(users, items, ratings, shape)
    assert np.allclose(found["global mean"].matrix(), ratings.mean())
    for u in set(users.tolist()):
        assert np.allclose(found["user means"].matrix()[u], ratings[users == u].mean())
    for i in set(items.tolist()):
        assert np.allclose(found["item means"].matrix()[:, i], ratings[items == i].mean())
    x = np.log1p(np.bincount(items))[items]
    if np.ptp(x) > 0:
        line = np.polynomial.Polynomial.fit(x, ratings, 1)
        np.testing.assert_allclose(found["popularity"].predict(users, items), line(x), atol=1e-8)


@pytest.mark.parametrize("function", [nb.add_user, nb.reasons])
def test_bad_ratings_of_one_user_are_refused(function):
    model, which = (
        random_model((3, 4), 2, np.random.default_rng(0)),
        [[1]] * (function is nb.reasons),
    )
    refuses("items", lambda: function(model, [4], [1.0], *which, 0.1))
    refuses("items", lambda: function(model, [], [], *which, 0.1))
    refuses("ratings", lambda: function(model, [1], [np.nan], *which, 0.1))
    refuses("ratings", lambda: function(model, [1], [1.0, 2.0], *which, 0.1))
    refuses("reg", lambda: function(model, [1], [1.0], *which, -0.1))
    refuses("n0", lambda: function(model, [1], [1.0], *which, 0.1, -1.0))


def test_bad_arguments_of_near_save_and_biases_are_refused():
    model = random_model((3, 4), 2, np.random.default_rng(0))
    refuses("item", lambda: nb.near(model, 4, [0], 1))
    refuses("among", lambda: nb.near(model, 0, [4], 1))
    refuses("user_names", lambda: nb.save(io.BytesIO(), model, ["a"], list("abcd")))
    refuses("item_names", lambda: nb.save(io.BytesIO(), model, list("abc"), ["a"]))
    refuses("scale", lambda: nb.save(io.BytesIO(), model, list("abc"), list("abcd"), scale=None))
    refuses("user_names", lambda: nb.save(io.BytesIO(), model, None, list("abcd")))
    refuses("item_names", lambda: nb.save(io.BytesIO(), model, list("abc"), "abcd"))
    refuses("shrink", lambda: nb.bias_model([0], [0], [1.0], (1, 1), -1.0))
    refuses("ratings", lambda: nb.baseline_models([0], [0], ["4"], (1, 1)))
    other = io.BytesIO()
    np.savez(other, a=1)
    other.seek(0)
    refuses("file", lambda: nb.load(other))
