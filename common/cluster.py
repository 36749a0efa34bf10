"""Workers for data that outgrow the machine: a Dask client, here or on a cluster."""

import importlib.util
import os
import sys
import warnings
from concurrent.futures import CancelledError
from contextlib import ExitStack, contextmanager

from tqdm.auto import tqdm

import common
from common.plotting import someone_watches

PATIENCE = 8  # seconds until a scheduler that does not answer, or a dead worker, is given up


def missing() -> bool:
    """Return whether Dask cannot run tasks here; if so, print how to install what lacks."""
    lacks = [name for name in ("dask", "distributed") if not importlib.util.find_spec(name)]
    if lacks:
        print(f"This section needs {' and '.join(lacks)}: pip install {' '.join(lacks)}")
    return bool(lacks)


@contextmanager
def workers(n: int = 2):
    """Yield a Dask client; at the end it is closed, with all that was started here.

    Where Dask knows a scheduler's address (``DASK_SCHEDULER_ADDRESS``) it is a client of that
    cluster, else of `n` processes of one thread each on this machine. What the notebook and
    `common` define travels to the workers by value: these need no copy of the project.

    Raises
    ------
    RuntimeError
        If no scheduler answers, if it goes while it is needed, or if a worker's Python is another.
    """
    import cloudpickle
    import dask
    from distributed import LocalCluster

    address = dask.config.get("scheduler-address", None)
    options = {
        "distributed.comm.timeouts.connect": f"{PATIENCE}s",  # 30 s by default, as the next one
        "distributed.comm.timeouts.tcp": "15s",  # at least 11
        # Dask's own setting lets each array above 128 kB ask the system for its memory anew.
        "distributed.nanny.pre-spawn-environ.MALLOC_TRIM_THRESHOLD_": None,
    }
    cloudpickle.register_pickle_by_value(common)
    with dask.config.set(options), ExitStack() as stack:
        if address is None:
            alone = {"host": "127.0.0.1", "scheduler_port": 0, "dashboard_address": ":0"}
            cluster = LocalCluster(n_workers=n, threads_per_worker=1, silence_logs=50, **alone)
            stack.enter_context(cluster)
        client = stack.enter_context(_connected(address or cluster))
        try:
            yield client
        except (OSError, CancelledError) as error:
            if client.status == "running" and isinstance(error, OSError):
                raise
            hint = "start one (dask scheduler, dask worker), or unset DASK_SCHEDULER_ADDRESS"
            raise RuntimeError(f"Dask's scheduler went away ({error}): {hint}") from error


def _connected(where):
    """Return a client; say what differs in the workers' versions."""
    from distributed import Client

    with warnings.catch_warnings(action="ignore"):  # a table of versions, said in a line below
        try:
            client = Client(where, timeout=PATIENCE)
        except Exception as error:  # whatever it is that listens there
            hint = "start one (dask scheduler), or unset DASK_SCHEDULER_ADDRESS"
            raise RuntimeError(f"no Dask scheduler answers at {where}: {hint}") from error
    try:
        client.wait_for_workers(1, timeout=PATIENCE)
    except OSError as error:
        client.close()
        hint = f"start one (dask worker {where})"
        raise RuntimeError(f"Dask's scheduler at {where} has no worker: {hint}") from error
    versions = client.get_versions(packages=["scipy", "torch"])
    here = versions["client"]["packages"]
    for worker, there in versions["workers"].items():
        differ = {name: v for name, v in there["packages"].items() if v != here[name]}
        if differ:
            text = ", ".join(f"{name} {v} (here {here[name]})" for name, v in differ.items())
            text = f"Dask's worker {worker} has {text}"
            if "python" in differ and differ["python"].split(".")[:2] != [
                *map(str, sys.version_info[:2])
            ]:
                client.close()
                raise RuntimeError(f"{text}: start workers with the Python of this notebook")
            print(f"Warning: {text}; results may differ in their last digits")
    return client


def finished(futures):
    """Yield the futures as they end, with a progress bar while a person waits."""
    from distributed import as_completed

    bar = {"total": len(futures), "leave": False, "disable": not someone_watches()}
    yield from tqdm(as_completed(futures), **bar)


def seen(client, files) -> None:
    """Raise ValueError unless each worker sees all `files`, as on a disk that is shared."""
    files = [os.path.abspath(file) for file in files]
    lost = client.run(lambda: [file for file in files if not os.path.exists(file)])
    for worker, unseen in lost.items():
        if unseen:
            raise ValueError(
                f"files: expected what every worker sees, as on a shared disk, got {unseen[0]}, "
                f"which {worker} does not see"
            )
