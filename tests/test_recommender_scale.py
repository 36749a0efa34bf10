"""DSGD on blocks and workers: equal to the loop, whatever the cut, and whoever dies on the way."""

import itertools
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
from distributed import Client
from hypothesis import given
from hypothesis import strategies as st
from recommender_cases import SEEDS, largest_difference, nb, random_model, rmse, triples

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
    slices = [slice(a, b) for a, b in itertools.pairwise(ends) if a < b]
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


@pytest.mark.parametrize(
    ("part", "said"),
    [
        ("abc", "'str' object is not callable"),
        (lambda: None, "NoneType"),
        (lambda: TABLE[:2], "missing .* 'ratings'"),
        (lambda: (*TABLE, 1), "multiple values"),
        (lambda: ([], [], []), "users: expected a non-empty array"),
        (lambda: ([0], [0], [np.nan]), "ratings: expected finite numbers .* got NaN"),
        (lambda: ([0.0], [0], [1]), "users: expected whole numbers"),
        (lambda: ([0, 3], [0, 0], [1, 2]), r"users: .* from 0 to 2, got 3 at \[1\]"),
        (lambda: ([10**9], [0], [1]), "users: .* from 0 to 2, got 1000000000"),
        (lambda: ([0], [-1], [1]), "items: .* from 0 to 1, got -1"),
        (lambda: ([0, 1], [0], [1, 2]), "items: expected the shape of users"),
        (lambda: ([0], [0], ["4"]), "ratings: expected real numbers"),
    ],
)
def test_a_bad_part_is_named_with_its_number_and_what_is_wrong(part, said):
    with pytest.raises(ValueError, match=rf"^parts\[1\]: expected .*, got .*{said}"):
        few(parts=[lambda: TABLE, part])


@pytest.mark.parametrize("start", [None, "model", START.P])
def test_what_is_no_model_to_start_from_is_refused(start):
    refuses("start", lambda: few(start=start))


def test_rates_and_penalties_are_one_or_one_an_epoch():
    refuses("lr", lambda: few(lr=[0.1, 0.2]), "1 of them")
    refuses("reg", lambda: few(reg=-1))


def test_a_rate_that_is_too_large_is_named():
    with pytest.raises(FloatingPointError, match="lr: SGD diverged in epoch"):
        few(lr=1e6, epochs=50)


def test_large_ids_are_numbered_first_as_the_page_says():
    far = np.array([10**9, 7, 10**18, 7]), np.array([0, 2**62, 2**62, 5]), TABLE[2]
    known = [np.unique(ids) for ids in far[:2]]

    def numbered():
        return *map(np.searchsorted, known, far[:2]), far[2]

    start = random_model([*map(len, known)], 2, np.random.default_rng(0))
    fit = few(parts=[numbered], start=start, blocks=2)
    looped, _ = by_the_loop(*numbered(), start, [], [0.1], 0.0, 2, 0)
    assert largest_difference(fit, looped) <= 1e-12


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (5, 1), (400, 300)])
def test_one_user_one_item_and_users_without_ratings(shape):
    start = random_model(shape, 2, np.random.default_rng(1))
    table = np.zeros(3, dtype=int), np.array([0, 0, shape[1] - 1]), np.array([3.0, 4.0, 5.0])
    for blocks in (1, 2, 20):
        fit = few(parts=[lambda: table], start=start, blocks=blocks)
        looped, _ = by_the_loop(*table, start, [], [0.1], 0.0, blocks, 0)
        assert largest_difference(fit, looped) <= 1e-12
        assert np.array_equal(fit.P[1:], start.P[1:])


def test_neither_the_start_nor_what_a_block_is_handed_is_changed():
    start, row = deepcopy(START), nb.row_of_blocks([lambda: TABLE], (3, 2), 0, 1, 0)[0]
    few(start=start)
    assert largest_difference(start, START) == 0
    mine, theirs = ((START.user_bias, START.P), 0, 0.0, 0), (START.item_bias, START.Q)
    before = deepcopy((mine, theirs))
    first, second = (nb.sgd_block([row], 0, mine, theirs, 0.3, True, 0.1, 0, [1]) for _ in "ab")
    assert all(np.array_equal(a, b) for a, b in zip(first[0], second[0], strict=True))
    assert not np.array_equal(first[0][1], START.P)
    for now, then in zip((*mine[0], *theirs), (*before[0][0], *before[1]), strict=True):
        assert np.array_equal(now, then)


# The checkpoint --------------------------------------------------------------------------------


@pytest.fixture
def kept(monkeypatch, tmp_path):
    monkeypatch.setattr(checkpoints, "ROOT", tmp_path)
    return Checkpoint("recommender-system", "run")


LR = [0.1, 0.05, 0.02]


@pytest.mark.parametrize("done", [1, 2, 3])
def test_a_later_call_goes_on_from_the_checkpoint_bit_for_bit(kept, done):
    whole = few(epochs=3, lr=LR, blocks=2)
    few(epochs=done, lr=LR[:done], blocks=2, checkpoint=kept)
    assert [file.name for file in kept.path.parent.iterdir()] == ["run.npz"]
    again = few(epochs=3, lr=LR, blocks=2, checkpoint=kept)
    assert largest_difference(whole, again) == 0
    assert whole.history == again.history
    assert (type(again.mu), again.mu) == (type(START.mu), START.mu)
    assert again.learn_biases is True
    kept.drop()
    kept.drop()
    assert not kept.path.exists()


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"rng": 1}, "seed"),
        ({"rng": None}, "seed"),
        ({"blocks": 3}, "blocks"),
        ({"lr": [0.2, 0.1, 0.1]}, "lr"),
        ({"reg": 0.5}, "reg"),
        ({"epochs": 1, "lr": LR[:1]}, "lr, reg"),
        ({"start": random_model((3, 2), 2, np.random.default_rng(5))}, "P, Q"),
        ({"start": random_model((3, 2), 1, np.random.default_rng(0))}, "shape"),
        ({"start": random_model((3, 2), 2, np.random.default_rng(0), False)}, "learn_biases"),
    ],
)
def test_a_checkpoint_of_another_run_is_refused_and_stays(kept, other, said):
    few(epochs=2, lr=LR[:2], blocks=2, checkpoint=kept)
    before = kept.path.read_bytes()
    with pytest.raises(ValueError, match=rf"^checkpoint: expected .*, got .*{said}.*: remove "):
        few(**{"epochs": 3, "lr": LR, "blocks": 2, "checkpoint": kept} | other)
    assert kept.path.read_bytes() == before


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 half", b"a,b\n1,2\n", None])
def test_a_file_that_is_no_checkpoint_is_refused_and_stays(kept, content):
    kept.path.parent.mkdir(parents=True)
    if content is None:
        np.savez(kept.path, P=np.zeros(3))
    else:
        kept.path.write_bytes(content)
    before = kept.path.read_bytes()
    refuses("checkpoint", lambda: few(checkpoint=kept), "remove")
    assert kept.path.read_bytes() == before


def test_a_run_that_ends_while_it_writes_leaves_the_last_whole_checkpoint(kept, monkeypatch):
    few(epochs=1, lr=LR[:1], checkpoint=kept)
    before = kept.path.read_bytes()

    def half(file, **arrays):
        file.write(b"PK half a checkpoint")
        raise KeyboardInterrupt

    with monkeypatch.context() as changed:
        changed.setattr(np, "savez", half)
        with pytest.raises(KeyboardInterrupt):
            few(epochs=2, lr=LR[:2], checkpoint=kept)
    assert kept.path.read_bytes() == before
    again = few(epochs=3, lr=LR, checkpoint=kept)
    assert largest_difference(again, few(epochs=3, lr=LR)) == 0


# Workers ---------------------------------------------------------------------------------------


def ratings_of(seed, n=300, m=200, count=6000):
    """Return a triple that is drawn by seed, as a worker would read a file."""
    rng = np.random.default_rng(seed)
    return rng.integers(0, n, count), rng.integers(0, m, count), rng.standard_normal(count)


PARTS = [partial(ratings_of, seed) for seed in range(3)]
WIDE = random_model((300, 200), 4, np.random.default_rng(0))
RUN = {"epochs": 4, "lr": [0.05, 0.04, 0.03, 0.02], "reg": 0.01, "blocks": 6, "rng": 2}


@pytest.fixture(scope="module", autouse=True)
def travelling():
    """The notebook's and this module's functions travel by value, as from a notebook."""
    with pytest.MonkeyPatch.context() as changed:
        changed.delitem(sys.modules, nb.__name__)
        changed.setattr(ratings_of, "__module__", "__main__")
        yield


@pytest.fixture(scope="module")
def alone():
    return nb.dsgd(Alone(), PARTS, WIDE, **RUN)


@pytest.fixture
def client():
    with dask.config.set({"scheduler-address": None}), cluster.workers() as client:
        yield client


class Watched(Checkpoint):
    """A checkpoint that does something once, after so many epochs."""

    def __init__(self, epochs, act):
        super().__init__("recommender-system", "watched")
        self.epochs, self.act = epochs, act

    def keep(self, about, state):
        super().keep(about, state)
        if len(state["history"]) == self.epochs:
            self.act()


def test_two_workers_do_as_one_process_and_a_killed_one_loses_nothing(client, alone, kept):
    start = time.monotonic()
    fit = nb.dsgd(client, PARTS, WIDE, **RUN)
    usual = time.monotonic() - start
    assert largest_difference(fit, alone) == 0
    assert fit.history == alone.history
    pids, late = [*client.run(os.getpid).values()], []

    def kill():
        late.append(threading.Timer(0.03, os.kill, (pids[0], signal.SIGKILL)))
        late[0].start()

    start = time.monotonic()
    fit = nb.dsgd(client, PARTS, WIDE, checkpoint=Watched(2, kill), **RUN)
    assert time.monotonic() - start < usual + 20
    late[0].join()
    assert largest_difference(fit, alone) == 0
    assert fit.history == alone.history
    client.wait_for_workers(2, timeout=60)
    assert pids[0] not in client.run(os.getpid).values()


def test_an_error_in_a_part_is_raised_as_itself_by_workers_too(client):
    with pytest.raises(ValueError, match=r"^parts\[1\]: expected .*, got users: expected"):
        nb.dsgd(client, [PARTS[0], lambda: ([-1], [0], [1])], WIDE, **RUN)


def test_a_cluster_of_real_commands_does_the_same_and_a_killed_scheduler_leaves_a_checkpoint(
    scheduler, alone, kept
):
    address, started = scheduler
    with Client(address, timeout=60) as first:  # a busy machine starts workers slowly
        first.wait_for_workers(2, timeout=60)
    watched = Watched(2, lambda: started[0].send_signal(signal.SIGKILL))
    with (  # noqa: PT012
        dask.config.set({"scheduler-address": address}),
        pytest.raises(RuntimeError, match="scheduler went away"),
        cluster.workers() as client,
    ):
        assert largest_difference(nb.dsgd(client, PARTS, WIDE, **RUN), alone) == 0
        nb.dsgd(client, PARTS, WIDE, checkpoint=watched, **RUN)
    assert watched.path.exists()
    fit = nb.dsgd(Alone(), PARTS, WIDE, checkpoint=watched, **RUN)
    assert largest_difference(fit, alone) == 0
    assert fit.history == alone.history
