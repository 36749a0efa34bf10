"""The client that the sections on data that outgrow the machine run their tasks with."""

import importlib.util
import os
import signal
import time

import dask
import numpy as np
import pytest

from common import cluster
from common.checks import array

pytestmark = pytest.mark.filterwarnings("default")  # Dask warns of what it mends itself


@pytest.fixture
def here():
    """No scheduler is named, whatever the shell that started the tests says."""
    with dask.config.set({"scheduler-address": None}):
        yield


def total(x):
    return float(array("x", x, 1).sum())


def test_tasks_run_in_two_processes_of_one_thread_which_end_with_the_block(here):
    with cluster.workers() as client:
        threads = client.nthreads()
        assert [*threads.values()] == [1, 1]
        pids = {*client.run(os.getpid).values()}
        assert len(pids) == 2
        assert os.getpid() not in pids
        futures = [client.submit(total, np.arange(n + 1.0)) for n in range(5)]
        assert sorted(f.result() for f in cluster.finished(futures)) == [0, 1, 3, 6, 10]
    assert not any(map(alive, pids))


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_an_error_in_the_block_ends_the_workers_too_and_stays_itself(here):
    pids = []
    with pytest.raises(ZeroDivisionError), cluster.workers(1) as client:  # noqa: PT012
        pids += client.run(os.getpid).values()
        _ = 1 / 0
    assert not any(map(alive, pids))


def test_an_error_of_the_disk_is_not_taken_for_the_schedulers(here):
    with pytest.raises(FileNotFoundError, match="nowhere"), cluster.workers(1):
        os.stat("nowhere")


def test_without_dask_the_line_that_installs_it_is_printed(monkeypatch, capsys):
    assert not cluster.missing()
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "distributed" else find(name)
    )
    assert cluster.missing()
    assert capsys.readouterr().out == "This section needs distributed: pip install distributed\n"


def test_a_file_that_a_worker_does_not_see_is_named(here, tmp_path):
    (tmp_path / "a.csv").write_text("1")
    with cluster.workers(1) as client:
        cluster.seen(client, [tmp_path / "a.csv"])
        with pytest.raises(ValueError, match=r"files: expected .* got .*b\.csv"):
            cluster.seen(client, [tmp_path / "a.csv", tmp_path / "b.csv"])


def test_a_scheduler_that_does_not_answer_costs_ten_seconds_at_most_and_a_sentence():
    start = time.monotonic()
    with (
        dask.config.set({"scheduler-address": "tcp://127.0.0.1:9"}),
        pytest.raises(RuntimeError, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:9"),
        cluster.workers(),
    ):
        pass
    assert time.monotonic() - start < 20  # 8 on an idle machine


def test_functions_and_common_travel_by_value_to_a_cluster(scheduler):
    """Its workers were started elsewhere, and cannot import `common`."""
    with dask.config.set({"scheduler-address": scheduler[0]}), cluster.workers() as client:
        client.wait_for_workers(2, timeout=60)
        assert client.submit(lambda x: array("x", x, 1).sum(), np.ones(3)).result() == 3
        found = client.run(importlib.util.find_spec, "common")
        assert set(found.values()) == {None}


def test_a_scheduler_that_is_killed_ends_the_run_with_a_sentence(scheduler):
    address, started = scheduler
    with (  # noqa: PT012
        dask.config.set({"scheduler-address": address}),
        pytest.raises(RuntimeError, match="scheduler went away"),
        cluster.workers() as client,
    ):
        future = client.submit(time.sleep, 60)
        time.sleep(0.5)
        started[0].send_signal(signal.SIGKILL)
        future.result()
