r"""The CNN, an epoch on $n$ images without augmentation: by the notebook's `fit` in one process, by `fit_in_parts` in two. Each worker holds $n / W$ of the images. All draw the same order; of each batch of $B = 64$ a worker takes the images that it holds, and `all_reduce` (Gloo) adds up the gradients, so that both ways take the same steps; in double precision, in which that can be held against each other over an epoch.

A step with $p$ parameters, $W$ workers, and $a$ products of a weight and an input for an image (`multiply_adds`):

| what | formula |
| --- | --- |
| sent by each worker, and received | $16 (p + 1) (W - 1) / W$ bytes, where the sum goes round a ring (half in single precision) |
| messages that wait for each other | $2 (W - 1)$ |
| work of a worker | about $3 a B / W$ multiply-adds; the step waits for the worker that holds most of its batch |
| memory of a worker | $6272\, n / W$ bytes of images, $8 n$ of the order, $24 p$ of weights, velocity and gradient |

A step takes what the slowest worker computes, and its messages: their number times the latency, and the bytes by the bandwidth. There is no goal, since a step of so small a net is over in the time of a few messages: what a second worker gives is room. A checkpoint has $16 p$ bytes and is written once an epoch.

**Where it stops scaling.** The work falls as $B / W$, the messages in a row grow as $W$ (as $\log W$ where the sum goes up and down a tree). One then takes larger batches, with a learning rate that grows with them and warms up ([Goyal et al. 2017](https://arxiv.org/abs/1706.02677)), or several steps between two sums ([Lin et al. 2020](https://arxiv.org/abs/1808.07217)). And because batches are drawn from all images, so that they don't depend on the number of workers, a worker's part of a batch is a matter of chance, and every worker holds the order of all images. Where neither can be afforded each worker draws $B / W$ from its own.

On paper a machine computes as fast as a core here; a message takes 50 µs. The simulation has the rounds that Dask sees: an epoch is one task for each worker, after one in which they tell their ports.
"""  # noqa: E501

import sys
import time
from functools import cache

import numpy as np

from benchmarks.report import duration
from common import cluster
from common.digits import mnist_pair
from common.processes import Processes
from tools.notebooks import algorithms
from tools.project import BUILD

TITLE = "CNN, an epoch on ones and sevens"
GOALS = {"memory": None, "time": None}
SIZE, SMALL = 9_000, 640
LATENCY, BANDWIDTH = 50e-6, 10e9 / 8  # between machines: seconds, bytes in a second
EPOCHS = 7  # of the simulation, as the notebook trains the CNN
OPTIONS = {"epochs": 1, "lr": 0.05}


@cache
def _notebook():
    """Return the notebook's algorithms; workers get those functions by value."""
    nb = algorithms("classification")
    sys.modules.pop(nb.__name__)
    nb.choose_device = lambda kind: "cpu"
    return nb


@cache
def _images() -> tuple:
    """Return the training part, X and y."""
    digits = mnist_pair((1, 7))
    X, y = _notebook().to_tensors(digits.train_images, digits.train_labels)
    return X.double(), y


def _start():
    """Return the model, the loss and the generator that both ways begin with."""
    import torch  # takes seconds: not where another topic is measured

    nb, generator = _notebook(), torch.Generator().manual_seed(0)
    return nb.initialise(nb.cnn().double(), generator), nb.logistic_loss, generator


@cache
def _load():
    """Write the images to a file, once; return the function by which a worker reads its part."""
    folder = BUILD / "scale-classification"
    folder.mkdir(parents=True, exist_ok=True)
    for name, values in zip("Xy", _images(), strict=True):
        np.save(folder / f"{name}.npy", values.numpy())

    def load(start, stop):
        import torch

        parts = (np.load(folder / f"{name}.npy", mmap_mode="r")[start:stop] for name in "Xy")
        return [torch.tensor(part) for part in parts]

    return load


def on_workers(client, size: int | None = None) -> np.ndarray:
    """Train on the workers; return the weights."""
    model, loss, generator = _start()
    run = Processes(client, _load(), size or SIZE).run
    _notebook().fit_in_parts(run, model, loss, generator, **OPTIONS)
    return _weights(model)


def in_memory(size: int | None = None) -> np.ndarray:
    """Train in this process; return the weights."""
    model, loss, generator = _start()
    part = [values[: size or SIZE] for values in _images()]
    _notebook().fit(model, loss, part, generator, **OPTIONS)
    return _weights(model)


def _weights(model) -> np.ndarray:
    return np.concatenate([p.detach().numpy().ravel() for p in model.parameters()])


def same(a: np.ndarray, b: np.ndarray) -> float:
    """Return the largest difference, relative to the largest weight."""
    return float(np.abs(a - b).max() / np.abs(b).max())


# By the formulas -------------------------------------------------------------------------------


def constants() -> dict[str, float]:
    """Return bytes sent and multiply-adds of a step, and the seconds of its pieces on this machine.

    A step of b images takes "seconds of a step" + b × "seconds of an image"; the sum of the
    gradients of two processes here takes "seconds of a sum".
    """
    nb = _notebook()
    model, loss, _ = _start()
    X, y = _images()
    params, times = list(model.parameters()), {}
    velocity = [p.detach() * 0 for p in params]
    for b in (8, nb.BATCH):
        each = []
        for _ in range(100):
            begin = time.perf_counter()
            _, *flat = nb.part_of_gradient(model, loss, X[:b], y[:b], 0, b).split(
                [1, *(p.numel() for p in params)]
            )
            gradients = [g.view_as(p) for g, p in zip(flat, params, strict=True)]
            nb.sgd_step(params, gradients, velocity, 0.0, nb.MOMENTUM)
            each.append(time.perf_counter() - begin)
        times[b] = np.median(each)
    an_image = (times[nb.BATCH] - times[8]) / (nb.BATCH - 8)
    with cluster.workers() as client:
        a_sum = Processes(client, _load(), 2).run(_sum)
    return {
        "parameters": nb.parameters(model),
        "multiply-adds of a step": 3 * nb.multiply_adds(nb.cnn()) * nb.BATCH,
        "seconds of an image": an_image,
        "seconds of a step": max(0.0, times[8] - 8 * an_image),
        "seconds of a sum": a_sum,
    }


def _sum(X, y, start, n, total) -> float:
    """Return the median seconds of a sum over all processes of as much as the CNN's gradient."""
    import torch

    vector, each = torch.zeros(8178, dtype=torch.float64), []
    for _ in range(300):
        begin = time.perf_counter()
        total(vector)
        each.append(time.perf_counter() - begin)
    return float(np.median(each))


def _step(c: dict[str, float], workers: int, batch: int) -> tuple[float, float]:
    """Return the seconds that a step computes and that its messages take, between machines."""
    parts = np.random.default_rng(0).multinomial(batch, np.full(workers, 1 / workers), 1000)
    work = c["seconds of a step"] + c["seconds of an image"] * parts.max(1).mean()
    sent = 16 * (c["parameters"] + 1) * (workers - 1) / workers
    return work, 2 * (workers - 1) * LATENCY + sent / BANDWIDTH


def paper(c: dict[str, float]) -> list[tuple[str, str]]:
    """Return what a step, and an epoch of a million images, cost on 100 workers."""
    rows = [("sent by a worker in a step", f"{16 * (c['parameters'] + 1) * 0.99 / 1e3:.0f} kB")]
    two = duration(sum(_step(c, 1, 32)[:1]))
    rows += [("here: work on 32 images; sum of two", f"{two}; {duration(c['seconds of a sum'])}")]
    for workers, batch in [(1, 64), (100, 64), (100, 6_400)]:
        work, messages = _step(c, workers, batch)
        name = f"{workers} worker{'s' * (workers > 1)}, batches of {batch:,}"
        epoch = (work + messages) * 1e6 / batch
        rows += [(f"{name}: work; messages", f"{duration(work)}; {duration(messages)}")]
        rows += [(f"{name}: epoch of 10⁶ images", duration(epoch))]
    return rows


def rounds(c: dict[str, float], workers: int) -> list[list[float]]:
    """Return rounds of short epochs: a task of each worker that tells its port, and 640 images."""
    epoch = sum(_step(c, workers, 64)) * SMALL / 64
    return [[0.0] * workers, [epoch] * workers] * EPOCHS
