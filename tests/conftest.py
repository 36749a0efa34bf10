"""What all tests share: Hypothesis draws the same examples everywhere, without a time limit."""

import json
import subprocess
import sys
import time

import pytest
from hypothesis import settings
from published import leading_to, publish

from common import evidence, plotting
from tools.notebooks import load
from tools.project import NOTEBOOKS

# A slow, busy machine must not fail a test, and a failure must come back on the next run.
settings.register_profile("collection", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("collection")


@pytest.fixture
def shown(monkeypatch):
    """Collect what `common` displays, as (data, metadata)."""
    displayed = []
    for module in (evidence, plotting):
        monkeypatch.setattr(
            module, "display", lambda data, metadata, raw: displayed.append((data, metadata))
        )
    return displayed


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.parent.name)
def path(request):
    """Each of the notebooks' files."""
    return request.param


@pytest.fixture
def notebook(path):
    """What is in that file."""
    return load(path)


@pytest.fixture(scope="session")
def fetching(tmp_path_factory):
    """Variables for which the project's address leads to a repository of this checkout."""
    return leading_to(publish(tmp_path_factory.mktemp("published")))


@pytest.fixture
def scheduler(tmp_path):
    """The real commands: a scheduler and two workers, on a free port."""

    def start(*command):
        started.append(
            subprocess.Popen(
                [sys.executable, "-m", "distributed.cli." + command[0], *command[1:]],
                cwd=tmp_path,
                stderr=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
            )
        )

    started = []
    file = tmp_path / "scheduler.json"
    start(
        "dask_scheduler",
        "--scheduler-file",
        str(file),
        "--port",
        "0",
        "--host",
        "127.0.0.1",
        "--no-dashboard",
        "--no-show",
    )
    deadline = time.monotonic() + 60
    while not file.exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    for _ in range(2):
        start(
            "dask_worker",
            "--scheduler-file",
            str(file),
            "--nthreads",
            "1",
            "--no-dashboard",
            "--local-directory",
            str(tmp_path),
        )
    address = json.loads(file.read_text())["address"]
    from distributed import Client

    with Client(address, timeout=60) as client:
        client.wait_for_workers(2, timeout=60)
    yield address, started
    for process in started:
        process.kill()
    for process in started:
        process.wait(30)
