"""Batches without conflicts, and SGD by them, against the loop."""

import tracemalloc
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


def first_fit(users, items, order):
    """Give each rating the lowest colour that neither its user nor its item has, one by one."""
    taken, colours = {}, np.empty(len(users), dtype=int)
    for t in order:
        ends = taken.setdefault(("u", users[t]), set()), taken.setdefault(("i", items[t]), set())
        colours[t] = next(c for c in range(len(users)) if c not in ends[0] | ends[1])
        for end in ends:
            end.add(colours[t])
    return colours


def colours_of(batches, count):
    colours = np.empty(count, dtype=int)
    for k, batch in enumerate(batches):
        colours[batch] = k
    return colours


@given(triples(), SEEDS)
def test_batches_are_those_of_a_first_fit_by_brute_force(table, seed):
    users, items, _, _ = table
    order = nb.colouring_order(users, items, seed)
    batches = nb.conflict_free_batches(users, items, seed)
    assert np.array_equal(colours_of(batches, len(users)), first_fit(users, items, order))


@pytest.mark.parametrize("width", [1, 3, 64, 1000])
def test_windows_of_colours_change_no_colour(width):
    rng = np.random.default_rng(0)
    users, items = rng.integers(0, 90, 900), np.minimum(rng.integers(0, 40, 900), 25)
    turn = order = rng.permutation(900)
    colour, first = np.empty(900, dtype=int), 0
    while len(turn):
        turn = nb.first_fit(users, items, turn, colour, first, width)
        first += width
    assert np.array_equal(colour, first_fit(users, items, order))


def star(n):
    """Everybody rated one item, and one item of their own."""
    users = np.tile(np.arange(n), 2)
    return users, np.concatenate([np.zeros(n, dtype=int), 1 + np.arange(n)])


def hubs(n):
    """Everybody rated the same five items."""
    return np.tile(np.arange(n), 5), np.repeat(np.arange(5), n)


def pairs(n):
    """Nobody and nothing has two ratings; ids are far apart."""
    return 10**9 * np.arange(n), 2**62 + np.arange(n)


@pytest.mark.parametrize("graph", [star, hubs, pairs])
def test_memory_is_at_most_200_bytes_a_rating(graph):
    users, items = graph(12_000)
    tracemalloc.start()
    batches = nb.conflict_free_batches(users, items, 0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak <= 200 * len(users)
    assert sum(map(len, batches)) == len(users)
    for ids in (users, items):
        assert all(len(np.unique(ids[batch])) == len(batch) for batch in batches)


@pytest.mark.slow
def test_an_item_that_160_000_users_rated_takes_as_many_batches_and_little_memory():
    users, items = hubs(160_000)
    tracemalloc.start()
    batches = nb.conflict_free_batches(users, items, 0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak <= 200 * len(users)
    assert len(batches) == 160_000


def test_a_large_id_costs_nothing():
    batches = nb.conflict_free_batches([10**9, 0, 2**63 - 1], [7, 10**12, 7], 0)
    assert sorted(np.concatenate(batches).tolist()) == [0, 1, 2]
    assert len(batches) == 2
    assert sorted(nb.colouring_order(np.array([10**12, 5]), np.array([2**62, 0]), 0)) == [0, 1]


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
