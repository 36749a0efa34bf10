"""Batches without conflicts, and SGD by them, against the loop."""

from copy import deepcopy

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from recommender_cases import ARRAYS, SEEDS, largest_difference, nb, random_model, triples

from common.synthetic import low_rank_ratings

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
