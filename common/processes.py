"""Processes that add up vectors together (torch.distributed), one on each of Dask's workers."""

import socket
import time
from contextlib import contextmanager, suppress
from datetime import timedelta
from urllib.parse import urlsplit

import torch
import torch.distributed as dist

from common import checks

MEET = 6  # seconds that processes wait until all are there
PATIENCE = 12  # seconds that they wait for each other after that
TRIES = 5


class Processes:
    """A process on each worker of a Dask client, each with a part of the data.

    Parameters
    ----------
    client : distributed.Client
    load : callable
        ``load(start, stop)`` returns the tensors X and y of the rows from `start` to below `stop`.
        It runs on the workers: a file that it reads must lie where they see it.
    n : int
        How many rows there are.
    """

    def __init__(self, client, load, n):
        if not dist.is_available():
            hint = "install one from pytorch.org that has it"
            raise RuntimeError(f"this build of PyTorch lacks torch.distributed: {hint}")
        if not callable(load):
            raise ValueError(f"load: expected a function of start and stop, got {load!r:.60}")
        self.client, self.load, self.n = client, load, checks.integer("n", n)
        self.names, self.parts = [], []  # the workers, and a future on each: its X, y, start

    def run(self, work):
        """Return what ``work(X, y, start, n, total)`` returns in the first process; all run it.

        X and y are the process's part, `start` is the number of its first row among all n, and
        ``total(v)`` adds up the tensor v over all processes. They form a group that ends with
        `work`: it talks through NCCL where each worker has a GPU of its own, else through Gloo.
        When a worker is lost the parts are dealt out anew to those that are there, and all run
        `work` once more; it must not matter that it ran before.

        Raises
        ------
        ConnectionError
            If the processes lost each other too often in a row.
        RuntimeError
            If no worker is left.
        """
        for attempt in range(1, TRIES + 1):
            try:
                self._deal()
                return self._together(work)
            except ConnectionError as error:
                self.names, self.parts = [], []
                if attempt == TRIES:
                    text = f"the workers lost each other {TRIES} times in a row"
                    raise ConnectionError(f"{text}: {error}") from error
            time.sleep(1)

    def _deal(self):
        """Let every worker that is there load its part, unless they are the same as before."""
        try:
            self.client.wait_for_workers(1, timeout=PATIENCE)
        except TimeoutError as error:
            if self.client.status != "running":
                raise
            raise RuntimeError("none of Dask's workers is left: start one") from error
        names = sorted(self.client.nthreads())[: self.n]
        if names != self.names:
            ends = [self.n * r // len(names) for r in range(len(names) + 1)]
            self.names, load = names, self.load
            self.parts = self._each(lambda *rows: read(load, *rows), ends[:-1], ends[1:])
            self._wait(self.parts)

    def _together(self, work):
        hosts = [urlsplit(name).hostname for name in self.names]
        nth = [hosts[:r].count(host) for r, host in enumerate(hosts)]  # of a machine's workers
        found = self._wait(self._each(lambda: offer()), results=True)
        enough = max(nth) < min(gpus for _, gpus in found)
        devices = [f"cuda:{i}" if enough else "cpu" for i in nth]
        place, n, size = (hosts[0], found[0][0]), self.n, len(hosts)

        def one(part, rank, device):
            return in_group(rank, size, place, device, lambda *a: work(*a[:3], n, a[3]), part)

        tasks = self._each(one, self.parts, range(size), devices)
        return self._wait(tasks, results=True)[0]

    def _each(self, function, *lists):
        """Return a task of each worker, with its own arguments."""
        each = zip(self.names, *lists, strict=True)
        return [self.client.submit(function, *a, workers=[to], pure=False) for to, *a in each]

    def _wait(self, tasks, results=False):
        """Wait until all tasks are done; ConnectionError as soon as one of the workers is lost."""
        limit = 1  # second that fetching results may take before workers are counted again
        while True:
            if lost := set(self.names) - set(self.client.nthreads()):
                self.client.cancel(tasks)
                raise ConnectionError(f"{', '.join(sorted(lost))} went away")
            if all(task.done() for task in tasks):
                errors = [error for task in tasks if (error := task.exception())]
                # The cause before what the others say, who lost a partner by it.
                for error in sorted(errors, key=lambda error: isinstance(error, ConnectionError)):
                    raise error
                limit *= 2
                with suppress(TimeoutError):
                    return [task.result(timeout=limit) for task in tasks] if results else None
            time.sleep(0.02)


def read(load, start, stop):
    """Return a part of the data, X, y, and the number of its first row."""
    X, y = load(start, stop)
    if not len(X) == len(y) == stop - start:
        got = f"{len(X)} of X and {len(y)} of y"
        raise ValueError(f"load: expected the rows {start} to {stop}, got {got}")
    return X, y, start


def offer():
    """Return a port that is free on this worker's machine, and how many GPUs NCCL finds there."""
    with socket.socket() as s:
        s.bind(("", 0))
        port = s.getsockname()[1]
    return port, torch.cuda.device_count() if dist.is_nccl_available() else 0


def in_group(rank, size, place, device, work, part):
    """Return ``work(X, y, start, total)`` in the first of `size` processes, None in the others.

    They meet at `place`, a host and a port where the first listens.
    """

    def total(v):
        with talking(rank):
            dist.all_reduce(v)
        return v

    X, y, start = part
    meet, wait = timedelta(seconds=MEET), timedelta(seconds=PATIENCE)
    backend, ours = "gloo" if device == "cpu" else "nccl", False
    try:
        with talking(rank):
            if rank:
                listening(place)
            store = dist.TCPStore(*place, size, rank == 0, meet, use_libuv=False)
            dist.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=wait)
            ours = True
        result = work(X.to(device), y.to(device), start, total)
        return result if rank == 0 else None
    finally:
        if ours:
            dist.destroy_process_group()


def listening(place):
    """Wait until the first process listens: TCPStore would, but twice as long, and not silently."""
    deadline = time.monotonic() + MEET
    while True:
        try:
            return socket.create_connection(place, timeout=1).close()
        except OSError as error:
            if time.monotonic() > deadline:
                raise ConnectionError(f"nobody listens at {place[0]}:{place[1]}") from error
        time.sleep(0.05)


@contextmanager
def talking(rank):
    """Turn what fails between processes into a ConnectionError."""
    try:
        yield
    except (RuntimeError, ValueError) as error:  # ValueError: an earlier group is not yet gone
        raise ConnectionError(f"process {rank} lost the others: {error!s:.200}") from error
