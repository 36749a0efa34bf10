"""DSGD on blocks and workers: equal to the loop, whatever the cut, and whoever dies on the way."""

import os
import signal
import sys
import threading
import time
from copy import deepcopy
from functools import partial

import dask
import numpy as np
import pytest
from bad_arguments import BAD_INTEGERS, BAD_RNG, refuses
from hypothesis import given
from hypothesis import strategies as st
from recommender_cases import ARRAYS, SEEDS, largest_difference, nb, random_model, rmse, triples

from common import checkpoint as checkpoints
from common import cluster
from common.checkpoint import Checkpoint
from common.synthetic import low_rank_ratings

pytestmark = pytest.mark.filterwarnings("default")  # Dask warns of what it mends itself


class Value:
    """A future that is there."""

    def __init__(self, value):
        self.value = value

    def result(self):
        return self.value


def plain(value):
    if isinstance(value, Value):
        return value.value
    return [plain(each) for each in value] if isinstance(value, list) else value


class Alone:
    """A client without workers: a task is done when it is submitted."""

    def submit(self, task, *args, workers=None, allow_other_workers=False, pure=None):
        return Value(task(*map(plain, args)))

    def map(self, task, *args, pure=None):
        return [self.submit(task, *each) for each in zip(*args, strict=True)]

    def gather(self, futures):
        return [future.value for future in futures]

    def nthreads(self):
        return {"here": 1, "there": 1}


def cut(table, ends):
    """Return the parts of a table of three arrays, none of them empty."""
    ends = [0, *sorted(ends), len(table[0])]
    slices = [slice(a, b) for a, b in zip(ends[:-1], ends[1:], strict=True) if a < b]
    return [lambda part=part: tuple(a[part] for a in table) for part in slices]


def in_order(parts, shape, blocks, seed, epoch):
    """Return the ratings of the parts in the order of an epoch."""
    rows = [nb.row_of_blocks(parts, shape, r, blocks, seed) for r in range(blocks)]
    order = []
    for columns in nb.strata(blocks, seed, epoch):
        for r, c in enumerate(columns):
            *_, ratings, pieces = rows[r][c]
            turn = np.random.default_rng([seed, 4, epoch, r, c]).permutation(len(pieces))
            order += [rating for j in turn for rating in ratings[pieces[j]]]
    return np.array(order)


def drawn(rng):
    """Return the seed that `dsgd` draws."""
    return np.random.default_rng(rng).integers(2**63)


def by_the_loop(users, items, ratings, start, ends, lr, reg, blocks, rng):
    """Return what `dsgd` should, by the loop over the ratings, and the errors on the way."""
    shape, model, observed = (len(start.P), len(start.Q)), deepcopy(start), []
    numbers = cut((users, items, np.arange(len(ratings))), ends)
    for epoch, rate in enumerate(lr):
        order = in_order(numbers, shape, blocks, drawn(rng), epoch).astype(int)
        assert sorted(order.tolist()) == list(range(len(ratings)))
        squares = nb.sgd_loop(users, items, ratings, model, order, rate, reg)
        observed.append(np.sqrt(squares / len(ratings)))
    return model, observed


@given(
    triples(), SEEDS, st.integers(1, 12), st.lists(st.integers(0, 40), max_size=3), st.booleans()
)
def test_dsgd_is_the_loop_for_any_cut_into_parts_and_blocks(table, seed, blocks, ends, biases):
    users, items, ratings, shape = table
    ends = [min(end, len(users)) for end in ends]
    start, lr = random_model(shape, 2, np.random.default_rng(seed), biases), [0.05, 0.02]
    settings = {"blocks": blocks, "rng": seed}
    parts = cut((users, items, ratings), ends)
    fit = nb.dsgd(Alone(), parts, deepcopy(start), epochs=2, lr=lr, reg=0.1, **settings)
    looped, observed = by_the_loop(users, items, ratings, start, ends, lr, 0.1, **settings)
    assert largest_difference(fit, looped) <= 1e-12
    assert fit.history["observed"] == pytest.approx(observed, rel=1e-12)
    assert fit.mu == start.mu


@given(triples(), SEEDS, st.integers(1, 9))
def test_blocks_of_a_stratum_share_nobody_and_all_strata_hold_every_rating_once(
    table, seed, blocks
):
    users, items, _, shape = table
    numbers = [lambda: (users, items, np.arange(len(users)))]
    rows = [nb.row_of_blocks(numbers, shape, r, blocks, seed) for r in range(blocks)]
    seen = []
    for columns in nb.strata(blocks, seed, 0):
        assert sorted(columns) == list(range(blocks))
        held = [rows[r][c][2].astype(int) for r, c in enumerate(columns)]
        for ids in (users, items):
            assert sum(len(set(ids[each])) for each in held) == len(set(ids[np.concatenate(held)]))
        seen += np.concatenate(held).tolist()
    assert sorted(seen) == list(range(len(users)))


@pytest.mark.parametrize("blocks", [1, 2, 7, 30])
def test_parts_are_even_and_drawn_at_random(blocks):
    for place in nb.places(3, (100, 100)):
        sizes = np.bincount(place % blocks, minlength=blocks)
        assert sizes.max() - sizes.min() <= 1
        assert sorted(place) == list(range(100))
    users, items = nb.places(3, (100, 100))
    assert not np.array_equal(users, items)
    assert not np.array_equal(users, nb.places(4, (100, 100))[0])


def test_epochs_differ_in_their_order():
    strata = [nb.strata(8, 5, epoch) for epoch in range(4)]
    assert not all(each == strata[0] for each in strata)


@pytest.mark.parametrize("blocks", [1, 2, 5])
def test_held_out_errors_are_those_of_one_process(blocks):
    for seed in range(3):
        data = low_rank_ratings(300, 200, 3, 0.1, 0.3, np.random.default_rng(seed))
        hidden = np.ones(data.truth.shape, dtype=bool)
        hidden[data.users, data.items] = False
        start = nb.start_model(*data[:3], (300, 200), 3, True, seed)
        options = {"epochs": 20, "lr": nb.linear_decay(0.1, 20), "reg": 0.01, "rng": seed}
        fits = [nb.dsgd(Alone(), [lambda d=data: d[:3]], start, blocks=blocks, **options)]
        fits += [nb.factorize(*data[:3], (300, 200), rank=3, start=start, **options)]
        a, b = (rmse(fit.matrix()[hidden], data.noisy[hidden]) for fit in fits)
        assert a == pytest.approx(b, rel=0.005)


# Bad input -------------------------------------------------------------------------------------

TABLE = np.array([0, 1, 2, 2]), np.array([0, 1, 1, 0]), np.array([1.0, 2, 3, 4])
START = random_model((3, 2), 2, np.random.default_rng(0))


def few(client=None, parts=None, start=START, **options):
    parts = [lambda: TABLE] if parts is None else parts
    return nb.dsgd(client or Alone(), parts, start, **{"epochs": 1, "lr": 0.1, "rng": 0} | options)


@pytest.mark.parametrize("name", ["epochs", "blocks"])
@pytest.mark.parametrize("value", BAD_INTEGERS)
def test_what_is_no_count_is_refused(name, value):
    refuses(name, lambda: few(**{name: value}))


@pytest.mark.parametrize("rng", BAD_RNG)
def test_what_is_no_seed_is_refused(rng):
    refuses("rng", lambda: few(rng=rng))


@pytest.mark.parametrize("parts", [(), [], "abc", None, TABLE[0], lambda: TABLE])
def test_what_is_no_list_of_parts_is_refused(parts):
    refuses("parts", lambda: nb.dsgd(Alone(), parts, START, epochs=1, lr=0.1))
