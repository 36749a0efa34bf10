"""The measurement of two workers against one process: its simulation, its table, its page."""

import json
import sys
import types

import numpy as np
import pytest

from benchmarks import scale
from tools.project import ROOT

pytestmark = pytest.mark.filterwarnings("default")  # Dask warns of what it mends itself


@pytest.mark.parametrize(
    ("tasks", "workers", "ends"),
    [([1, 1, 1], 3, 1), ([1, 1, 1], 2, 2), ([3, 1, 1, 1], 2, 3), ([2], 5, 2), ([], 4, 0)],
)
def test_a_free_worker_takes_the_next_task(tasks, workers, ends):
    assert scale.longest(tasks, workers) == ends


def test_a_simulation_takes_at_least_what_is_predicted():
    found = scale.simulate([[0.1] * 8, [0.05] * 4], workers=4)
    assert found["tasks"] == 12
    assert found["predicted"] == pytest.approx(0.25)
    assert found["measured"] >= 0.25


@pytest.fixture
def topic(monkeypatch):
    """A work that squares a vector; `goals` may be changed."""
    module = types.ModuleType("benchmarks.scale_fake", "What runs: $x^2$.")
    module.TITLE, module.SMALL, module.GOALS = "squares", 3, {"memory": 1e9, "time": 1e9}

    def in_memory(size=1000):
        return np.arange(size) ** 2

    def on_workers(client, size=1000):
        return client.submit(lambda n: np.arange(n) ** 2, size).result()

    module.in_memory, module.on_workers = in_memory, on_workers
    module.same = lambda a, b: float(abs(a - b).max())
    module.constants = lambda: {"s": 0.01}
    module.paper = lambda constants: [("10⁹ squares", "1 s")]
    module.rounds = lambda constants, workers: [[constants["s"]] * workers]
    monkeypatch.setitem(sys.modules, "benchmarks.scale_fake", module)
    return module


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_a_topic_is_measured_and_shown_with_its_goals(topic, tmp_path):
    row = scale.measure("fake", quick=True, pairs=1)
    assert row["difference"] == 0
    assert [s["workers"] for s in row["simulated"]] == scale.WORKERS
    results = {"date": "2000-01-01", "quick": True, "topics": [row]}
    results["machine"] = dict.fromkeys(
        ["processor", "cores", "system", "Python", "numpy", "torch", "distributed", "collection"],
        "x",
    )
    scale.store(results, tmp_path)
    stored = json.loads((tmp_path / "scale.json").read_text(encoding="utf-8"))
    text = scale.markdown(stored)
    for part in ["## Fake", "What runs: $x^2$.", "≤ 1000 MB", "reached", "10⁹ squares", "a trial"]:
        assert part in text
    assert (tmp_path / "scale.png").stat().st_size > 1000


def test_a_goal_relative_to_one_process_is_missed_by_more_memory():
    row = {"goals": {"memory_of_alone": 0.5, "time": 0.8}, "bytes": 6e6, "bytes alone": 10e6}
    row |= {"pairs": [[1, 2], [1, 2], [9, 2]], "difference": 1e-12}
    time, memory, same = scale.verdict(row)
    assert time[1:] == ["1 s / 2 s = 0.50", "≤ 0.8", "reached"]
    assert memory[1:] == ["6 MB; one process 10 MB", "≤ 5 MB", "missed"]
    assert same[1:] == ["1e-12", "none", "reported"]


def test_the_page_is_what_the_stored_measurement_says():
    file = scale.REPORT / "scale.json"
    results = json.loads(file.read_text(encoding="utf-8"))
    page = (ROOT / "docs" / "scale.md").read_text(encoding="utf-8")
    assert scale.markdown(results, "../benchmarks/report/") in page
    assert not results["quick"]
    measured = [row["name"] for row in results["topics"]]
    later = [name for name in scale.TOPICS if name not in measured]
    assert measured == [name for name in scale.TOPICS if name in measured]
    assert ("Not measured yet: " in page) == bool(later)
    assert not results["machine"]["collection"].endswith("-dirty")
