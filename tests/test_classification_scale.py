"""Training on images that several processes hold: what it equals, and what it survives."""

import itertools
import os
import pickle
import signal
import sys
import threading
import time

import dask
import pytest
import torch
import torch.distributed as dist
from classification_cases import LOSSES, generator, nb
from distributed import Client
from hypothesis import given, settings
from hypothesis import strategies as st

from common import cluster, processes, states
from common.processes import Processes, in_group

pytestmark = pytest.mark.filterwarnings("default")  # Dask warns of what it mends itself
sys.modules.pop(nb.__name__, None)  # its functions travel to workers by value, as a notebook's
MODELS = [nb.linear, lambda: nb.feed_forward(16), nb.cnn]
OPTIONS = {"epochs": 3, "lr": 0.05, "lam": 0.01}


def images(n, kind=torch.float64):
    g = generator(n)
    X = torch.rand(n, 1, 28, 28, generator=g).to(kind)
    y = torch.where(X.mean((1, 2, 3)) < 0.5, 1.0, -1.0)
    y[:2] = torch.tensor([1.0, -1.0])[:n]
    return X, y


def start(build=nb.linear, kind=torch.float64):
    return nb.initialise(build().to(kind), generator(1)), nb.logistic_loss, generator(3)


def fitted(n, build=nb.linear, kind=torch.float64, **options):
    """What `fit` makes of n images: the model, its history, and the generator afterwards."""
    model, loss, g = start(build, kind)
    history = nb.fit(model, loss, images(n, kind), g, **(OPTIONS | options))
    return model, [mean for mean, _ in history], g


def gap(a, b):
    """Largest difference between the weights of two models, relative to their tensor's largest."""
    pairs = zip(a.parameters(), b.parameters(), strict=True)
    return max(((p - q).abs().max() / q.abs().max()).item() for p, q in pairs)


def alone(n, kind=torch.float64):
    return lambda work: work(*images(n, kind), 0, n, lambda v: v)


def in_threads(sizes):
    """Return a `run` whose processes are threads, with parts of these sizes."""
    n, barrier, vectors = sum(sizes), threading.Barrier(len(sizes), timeout=60), [None] * len(sizes)
    X, y = images(n)

    def run(work):
        results = [None] * len(sizes)

        def one(k):
            def total(v):
                vectors[k] = v
                barrier.wait()
                added = sum(vectors)
                barrier.wait()
                return added

            first = sum(sizes[:k])
            part = slice(first, first + sizes[k])
            results[k] = work(X[part], y[part], first, n, total)

        threads = [threading.Thread(target=one, args=[k]) for k in range(len(sizes))]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        same = [state["model"] for state in results]
        assert all(torch.equal(a[name], same[0][name]) for a in same for name in a)
        return results[0]

    return run


# Without workers -------------------------------------------------------------------------------


@given(
    sizes=st.lists(st.integers(0, 20), min_size=1, max_size=7).filter(any),
    loss=st.sampled_from(LOSSES),
    lam=st.sampled_from([0, 0.3]),
    build=st.sampled_from(MODELS),
)
def test_parts_add_up_to_the_gradient_however_a_batch_is_cut(sizes, loss, lam, build):
    n, model = sum(sizes), start(build)[0]
    X, y = images(n)
    cut = zip(X.split(sizes), y.split(sizes), strict=True)
    J, *flat = sum(nb.part_of_gradient(model, loss, *part, lam, n) for part in cut).split(
        [1, *(p.numel() for p in model.parameters())]
    )
    whole = nb.objective(model, loss, X, y, lam)
    assert J.item() == pytest.approx(whole.item(), rel=1e-13)
    for g, right in zip(flat, torch.autograd.grad(whole, model.parameters()), strict=True):
        assert (g - right.flatten()).abs().max() <= 1e-13 * (1 + right.abs().max())


@pytest.mark.parametrize("kind", [torch.float32, torch.float64])
@pytest.mark.parametrize("build", MODELS)
@pytest.mark.parametrize("n", [2, 64, 201])
def test_in_one_process_it_is_fit_to_the_last_bit(n, build, kind):
    model, history, g = fitted(n, build, kind)
    ours, loss, ours_g = start(build, kind)
    assert nb.fit_in_parts(alone(n, kind), ours, loss, ours_g, **OPTIONS) == history
    assert gap(ours, model) == 0
    assert torch.equal(ours_g.get_state(), g.get_state())


@settings(max_examples=10)
@given(sizes=st.lists(st.integers(0, 60), min_size=1, max_size=5).filter(lambda s: sum(s) > 1))
def test_however_the_images_are_cut_it_is_fit(sizes):
    model, _, _ = fitted(sum(sizes))
    ours, *how = start()
    nb.fit_in_parts(in_threads(sizes), ours, *how, **OPTIONS)
    assert gap(ours, model) < 1e-12


def test_parts_of_one_image_each_are_fit():
    model, _, _ = fitted(9)
    ours, *how = start()
    nb.fit_in_parts(in_threads([1] * 9), ours, *how, **OPTIONS)
    assert gap(ours, model) < 1e-12


@pytest.mark.parametrize("epoch", [1, 2, 3])
def test_a_checkpoint_of_any_epoch_goes_on_to_the_same_bits(tmp_path, epoch):
    kept, file = [], tmp_path / "new" / "checkpoint.pt"
    model, *how = start(nb.cnn)
    history = nb.fit_in_parts(alone(100), model, *how, keep=kept.append, **OPTIONS)
    assert len(kept) == 3
    states.save(file, kept[epoch - 1])
    ours, loss, g = start(nb.cnn)
    later = {"state": states.load(file)}
    assert nb.fit_in_parts(alone(100), ours, loss, g, **later, **OPTIONS) == history
    assert gap(ours, model) == 0
    assert torch.equal(g.get_state(), how[1].get_state())


@pytest.mark.parametrize(
    "change",
    [{"lr": 0.06}, {"epochs": 4}, {"lam": 0}, {"generator": 4}, {"loss": nb.squared_hinge_loss}],
)
def test_a_checkpoint_of_another_training_is_refused(change):
    kept = []
    nb.fit_in_parts(alone(9), *start(), keep=kept.append, **OPTIONS)
    model, loss, g = start()
    how = {"loss": loss, "generator": g} | OPTIONS | change
    with pytest.raises(ValueError, match=r"state: expected one of this training.* got another"):
        nb.fit_in_parts(alone(9), model, state=kept[0], **how)
    with pytest.raises(ValueError, match="state: expected one of this training"):
        nb.fit_in_parts(alone(9), nb.linear().double(), loss, g, state=kept[0], **OPTIONS)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"epochs": 0}, "epochs: expected an integer of at least 1, got 0"),
        ({"epochs": 1.5}, "epochs: expected an integer"),
        ({"lr": 0}, "lr: expected finite numbers above 0"),
        ({"lr": "fast"}, "lr: expected real numbers"),
        ({"lam": -1}, "lam: expected finite numbers from 0"),
        ({"generator": "seed"}, "generator: expected an integer of at least 0, or a Generator"),
        ({"loss": lambda s, y: s.mean()}, "loss: expected 0 ≤ loss"),
    ],
)
def test_bad_arguments_are_refused_before_any_work(change, said):
    model, loss, g = start()
    how = {"loss": loss, "generator": g} | OPTIONS | change
    with pytest.raises(ValueError, match=said):
        nb.fit_in_parts(lambda work: pytest.fail("it ran"), model, **how)


def test_a_learning_rate_that_is_too_large_is_named():
    with pytest.raises(FloatingPointError, match="try lr < "):
        nb.fit_in_parts(alone(100), *start(nb.cnn), **(OPTIONS | {"lr": 1e5}))


def test_a_group_is_gone_whatever_happened_in_it():
    part = (*images(3), 0)
    assert in_group(0, 1, ("127.0.0.1", 0), "cpu", lambda X, y, s, t: len(t(X)), part) == 3
    with pytest.raises(ZeroDivisionError):
        in_group(0, 1, ("127.0.0.1", 0), "cpu", lambda *a: 1 / 0, part)
    assert not dist.is_initialized()


def test_a_partner_that_does_not_come_is_given_up(monkeypatch):
    monkeypatch.setattr(processes, "MEET", 1)
    with pytest.raises(ConnectionError, match="process 0 lost the others"):
        in_group(0, 2, ("127.0.0.1", 0), "cpu", print, (*images(3), 0))
    assert not dist.is_initialized()


def test_pytorch_without_distributed_is_said(monkeypatch):
    monkeypatch.setattr(dist, "is_available", lambda: False)
    with pytest.raises(RuntimeError, match=r"PyTorch lacks torch\.distributed: install one"):
        Processes(None, print, 3)


@pytest.mark.parametrize(
    ("load", "n", "said"),
    [("a file", 3, "load: expected a function"), (print, 0, "n: expected"), (print, 2.0, "n: ")],
)
def test_what_processes_are_given_is_checked(load, n, said):
    with pytest.raises(ValueError, match=said):
        Processes(None, load, n)


# Checkpoints -----------------------------------------------------------------------------------


def test_no_checkpoint_is_none_and_a_second_replaces_the_first(tmp_path):
    file = tmp_path / "c.pt"
    assert states.load(file) is None
    states.save(file, {"a": 1})
    states.save(file, {"a": [torch.ones(2), None, "x", 2.5]})
    assert torch.equal(states.load(file)["a"][0], torch.ones(2))
    assert [*tmp_path.iterdir()] == [file]


class Harm:
    def __reduce__(self):
        return os.mkdir, ("harmed",)


@pytest.mark.parametrize(
    "content",
    [b"", b"no checkpoint", pickle.dumps(Harm()), pickle.dumps([1])],
    ids=["empty", "text", "code", "pickle"],
)
def test_what_is_no_checkpoint_is_refused_and_runs_no_code(tmp_path, monkeypatch, content):
    monkeypatch.chdir(tmp_path)
    (file := tmp_path / "c.pt").write_bytes(content)
    with pytest.raises(ValueError, match=r"file: expected a checkpoint in .*c\.pt, got .* move it"):
        states.load(file)
    torch.save({"a": Harm()}, file)
    with pytest.raises(ValueError, match="file: expected a checkpoint"):
        states.load(file)
    assert not (tmp_path / "harmed").exists()


def test_half_a_checkpoint_is_refused(tmp_path):
    states.save(file := tmp_path / "c.pt", {"a": torch.ones(1000)})
    file.write_bytes(file.read_bytes()[:2000])
    with pytest.raises(ValueError, match="file: expected a checkpoint"):
        states.load(file)


def test_a_full_disk_leaves_the_earlier_checkpoint(tmp_path, monkeypatch):
    states.save(file := tmp_path / "c.pt", {"a": 1})

    def full(state, file):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(states.torch, "save", full)
    with pytest.raises(OSError, match=r"c\.pt: the checkpoint could not be written: .*No space"):
        states.save(file, {"a": 2})
    assert states.load(file) == {"a": 1}
    assert [*tmp_path.iterdir()] == [file]


# On two workers --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def client():
    with dask.config.set({"scheduler-address": None}), cluster.workers() as client:
        yield client


def loading(n, kind=torch.float64, broken=None):
    """Return a `load` that needs nothing of this module, and may break the part that ends at n."""
    X, y = images(n, kind)

    def load(start, stop):
        part = X[start:stop].clone(), y[start:stop].clone()
        if broken and stop == n:
            return broken(*part)
        return part

    return load


@pytest.mark.parametrize(
    ("build", "kind", "bound"),
    [(nb.linear, torch.float32, 1e-6), *((build, torch.float64, 1e-12) for build in MODELS)],
)
def test_on_workers_it_is_fit(client, build, kind, bound):
    model, history, _ = fitted(201, build, kind)
    ours, *how = start(build, kind)
    run = Processes(client, loading(201, kind), 201).run
    assert nb.fit_in_parts(run, ours, *how, **OPTIONS) == pytest.approx(history, rel=bound)
    assert gap(ours, model) < bound


def test_one_image_is_not_shared_and_one_each_is(client):
    for n in (1, 2, 3):
        run = Processes(client, loading(n), n).run
        sizes = run(lambda X, y, start, n, total: total(torch.ones(1)).item())
        assert sizes == min(n, 2)
        ours, *how = start()
        nb.fit_in_parts(run, ours, *how, **OPTIONS)
        expected, *how = start()
        nb.fit_in_parts(alone(n), expected, *how, **OPTIONS)
        assert gap(ours, expected) < 1e-12


def test_both_processes_end_with_the_same_bits(client):
    model, loss, g = start(nb.cnn)
    state, epoch = nb.first_state(model, loss, g), nb.epoch_of_part

    def work(X, y, start, n, total):
        new = epoch(model, loss, state, X, y, start, n, total, epochs=1, lr=0.05, lam=0.01)
        flat = torch.cat([v.flatten() for v in new["model"].values()])
        return (total(flat.clone()) - 2 * flat).abs().max().item()

    assert Processes(client, loading(201), 201).run(work) == 0


def test_it_is_distributed_data_parallel(client):
    objective, rate, BATCH, MOMENTUM = nb.objective, nb.rate, nb.BATCH, nb.MOMENTUM
    model, loss, g = start(nb.cnn)

    def work(X, y, start, n, total):
        ddp = torch.nn.parallel.DistributedDataParallel(model)
        sgd, size = torch.optim.SGD(model.parameters(), 0.05, MOMENTUM), dist.get_world_size()
        batches = torch.randperm(n, generator=g).split(BATCH)
        for step, batch in enumerate(batches):
            mine = batch[(start <= batch) & (batch < start + len(y))] - start
            sgd.zero_grad()
            J = objective(ddp, loss, X[mine], y[mine], 0.01)
            (size * len(mine) / len(batch) * J).backward()
            sgd.param_groups[0]["lr"] = rate(0.05, (step + 0.5) / len(batches))
            sgd.step()
        return model

    run = Processes(client, loading(201), 201).run
    theirs = run(work)
    ours, *how = start(nb.cnn)
    nb.fit_in_parts(run, ours, *how, **(OPTIONS | {"epochs": 1}))
    assert gap(ours, theirs) < 1e-12


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (lambda X, y: (X[1:], y[1:]), "load: expected the rows 4 to 9, got 4 of X and 4 of y"),
        (lambda X, y: (X, y[1:]), "load: expected the rows 4 to 9, got 5 of X and 4 of y"),
        (lambda X, y: (X, y + 1), r"y: expected labels -1 and \+1"),
        (lambda X, y: (X.float(), y), "X: expected images .* of torch.float64"),
        (lambda X, y: (X * float("nan"), y), "X: expected finite numbers .* got NaN"),
        (lambda X, y: (X * 255, y), "X: expected images scaled to 0..1"),
        (lambda X, y: torch.load("nowhere.pt"), "nowhere.pt"),
    ],
)
def test_a_part_that_is_broken_is_named_and_not_taken_for_a_lost_worker(client, broken, said):
    run = Processes(client, loading(9, broken=broken), 9).run
    with pytest.raises((ValueError, FileNotFoundError), match=said):
        nb.fit_in_parts(run, *start(), **OPTIONS)


def test_a_worker_that_is_killed_costs_an_epoch_at_most(client):
    """The epochs go on with the worker that is left, and with its successor when that is there."""
    n, options = 400, OPTIONS | {"epochs": 9}
    model, history, _ = fitted(n, nb.cnn, **options)
    ours, *how = start(nb.cnn)
    times, victim = [], next(iter(client.run(os.getpid).values()))
    killer = threading.Timer(0.1, os.kill, [victim, signal.SIGKILL])

    def keep(state):
        times.append(time.monotonic())
        if len(state["history"]) == 3:
            killer.start()  # in the middle of the fourth

    run = Processes(client, loading(n), n).run
    assert nb.fit_in_parts(run, ours, *how, keep=keep, **options) == pytest.approx(history)
    assert len(times) == 9
    assert max(b - a for a, b in itertools.pairwise(times)) < 20
    assert victim not in client.run(os.getpid).values()
    assert gap(ours, model) < 1e-10


def test_workers_that_lose_each_other_again_and_again_are_given_up(client, monkeypatch):
    monkeypatch.setattr(time, "sleep", lambda s: None)

    def work(X, y, start, n, total):
        raise ConnectionError("cable")

    with pytest.raises(ConnectionError, match="lost each other 5 times in a row: cable"):
        Processes(client, loading(9), 9).run(work)


@pytest.mark.slow
def test_a_scheduler_that_is_killed_ends_with_a_sentence_and_a_later_run_goes_on(
    scheduler, tmp_path
):
    """The real commands, whose workers cannot import `common`."""
    address, started = scheduler
    file, seen = tmp_path / "build" / "checkpoint.pt", []
    model, history, _ = fitted(201, nb.cnn)

    def keep(state):
        states.save(file, state)
        seen.append(len(state["history"]))
        if len(seen) == 2:
            started[0].kill()

    run_on = dask.config.set({"scheduler-address": address})
    with Client(address) as waiting:
        waiting.wait_for_workers(2, timeout=60)
    with (  # noqa: PT012
        run_on,
        pytest.raises(RuntimeError, match="scheduler went away"),
        cluster.workers() as client,
    ):
        run = Processes(client, loading(201), 201).run
        nb.fit_in_parts(run, *start(nb.cnn), keep=keep, **OPTIONS)
    assert seen == [1, 2]
    ours, *how = start(nb.cnn)
    later = {"state": states.load(file)}
    assert nb.fit_in_parts(alone(201), ours, *how, **later, **OPTIONS) == pytest.approx(history)
    assert gap(ours, model) < 1e-12
