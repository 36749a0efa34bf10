"""Measure two workers on data that outgrow the machine, against one process in memory.

usage: python -m benchmarks.scale     measures everything; writes build/scale/
       python -m benchmarks.scale [--quick] [--only NAME]   a trial; writes build/scale-trial/
       python -m benchmarks.scale report    publishes the last whole measurement

Each topic's module beside this one (`scale_regression` ...) has a docstring that stands above its
table; TITLE and GOALS; `on_workers(client, size)`, `in_memory(size)` and how far their results
differ, `same(a, b)`; perhaps `huge(client, size)`, run on workers alone; `constants()`, measured
here, `paper(constants)`, what a large case costs by the formulas, and `rounds(constants, workers)`,
how long each task of each round takes then.
"""

import os

# One thread for each process, as Dask's workers have it; read when the libraries are loaded.
for what in ("OMP_NUM", "OPENBLAS_NUM", "MKL_NUM", "VECLIB_MAXIMUM"):
    os.environ[f"{what}_THREADS"] = "1"

import ctypes
import datetime
import importlib
import inspect
import json
import statistics
import time
from importlib.metadata import version
from pathlib import Path

import matplotlib.pyplot as plt
from tqdm import tqdm

from benchmarks.measure import peak_bytes, resident, seconds
from benchmarks.report import duration
from benchmarks.run import command_line, machine
from common import cluster
from common.plotting import COLOURS, use_style
from common.tables import render
from tools.project import BUILD, ROOT, survive_any_console, write
from tools.readme import between

TOPICS = ["regression", "clustering", "recommender", "classification"]
WORKERS = [4, 16, 64]  # of the simulation
REPORT = Path(__file__).parent / "report"


def started() -> int:
    """Let this process's high-water mark begin afresh; return the bytes that it holds now."""
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    return resident("VmRSS")


def peak_of_workers(client, work) -> int:
    """Return by how many bytes the worker that grew most grew while `work(client)` ran."""
    before = client.run(started)
    work(client)
    after = client.run(resident, "VmHWM")
    return max(after[name] - before[name] for name in before)


def measure(name: str, quick: bool, pairs: int = 3) -> dict:
    """Measure one topic: memory of a worker, then both ways in turns, then the simulation."""
    topic = importlib.import_module(f"benchmarks.scale_{name}")
    sized = {"size": topic.SMALL} if quick else {}
    row = {"name": name, "title": topic.TITLE, "goals": topic.GOALS, "pairs": []}
    row["about"] = inspect.cleandoc(topic.__doc__)
    with cluster.workers() as client:
        topic.on_workers(client, size=topic.SMALL)  # libraries are loaded now
        largest = getattr(topic, "huge", topic.on_workers)
        if topic.GOALS.get("memory") or topic.GOALS.get("memory_of_alone"):
            start = time.perf_counter()
            row["bytes"] = peak_of_workers(client, lambda c: largest(c, **sized))
            row["seconds of that"] = time.perf_counter() - start
            row["bytes alone"] = peak_bytes(lambda: topic.in_memory(**sized))
        results = {}
        for _ in range(pairs):
            both = seconds(lambda: results.update(ours=topic.on_workers(client, **sized)))
            alone = seconds(lambda: results.update(theirs=topic.in_memory(**sized)))
            row["pairs"].append([both, alone])
        row["difference"] = topic.same(results["ours"], results["theirs"])
    row["constants"] = topic.constants()
    row["paper"] = topic.paper(row["constants"])
    row["simulated"] = [
        {"workers": n, **simulate(topic.rounds(row["constants"], n), n)} for n in WORKERS
    ]
    return row


def simulate(rounds: list[list[float]], workers: int) -> dict:
    """Run tasks that only sleep on so many workers; return what was predicted and what came.

    The workers are threads of one process, which also schedules them: what they add is an upper
    end of what the engine adds on machines of their own, but for the network.
    """
    from distributed import Client, LocalCluster, wait

    here = {"processes": False, "dashboard_address": ":0", "silence_logs": 50}
    here["memory_limit"] = None  # each would take the process's memory for its own, and pause
    with LocalCluster(n_workers=workers, threads_per_worker=1, **here) as many, Client(many) as c:
        c.submit(time.sleep, 0).result()
        start = time.perf_counter()
        for each in rounds:
            wait(c.map(time.sleep, each, pure=False))
        measured = time.perf_counter() - start
    predicted = sum(longest(each, workers) for each in rounds)
    return {"tasks": sum(map(len, rounds)), "predicted": predicted, "measured": measured}


def longest(tasks: list[float], workers: int) -> float:
    """Return when the last of `workers` ends, each of which takes the next task when it is free."""
    ends = [0.0] * workers
    for each in tasks:
        ends[ends.index(min(ends))] += each
    return max(ends)


def verdict(row: dict) -> list[list[str]]:
    """Return the rows of a topic's table: what, measured, goal, and what came out."""
    ratio = statistics.median(a / b for a, b in row["pairs"])
    two, one = (statistics.median(each) for each in zip(*row["pairs"], strict=True))
    goals, lines = row["goals"], []

    def line(what, text, value, goal, shown):
        said = "reported" if goal is None else "reached" if value <= goal else "missed"
        lines.append([what, text, "none" if goal is None else f"≤ {shown}", said])

    line(
        "time, two workers / one process", f"{duration(two)} / {duration(one)} = {ratio:.2f}",
        ratio, goals.get("time"), goals.get("time"),
    )  # fmt: skip
    if "bytes" in row:
        goal = goals.get("memory") or goals["memory_of_alone"] * row["bytes alone"]
        text = f"{row['bytes'] / 1e6:.0f} MB; one process {row['bytes alone'] / 1e6:.0f} MB"
        line("a worker's memory above its start", text, row["bytes"], goal, f"{goal / 1e6:.0f} MB")
    line("largest relative difference of the results", f"{row['difference']:.1g}", 0, None, "")
    return lines


def figure(rows: list[dict], path: Path) -> None:
    """Draw what tasks that sleep took against what was predicted, for each topic."""
    use_style()
    fig, axes = plt.subplots(1, len(rows), figsize=(2.4 * len(rows), 2.6), squeeze=False)
    for ax, row in zip(axes[0], rows, strict=True):
        n = [each["workers"] for each in row["simulated"]]
        for what, colour, marker in [("predicted", "grey", "^"), ("measured", "blue", "o")]:
            values = [each[what] for each in row["simulated"]]
            ax.loglog(n, values, color=COLOURS[colour], marker=marker, label=what)
        ax.set(title=row["name"], xlabel="workers", xticks=n, xticklabels=n)
        ax.minorticks_off()
    axes[0, 0].set_ylabel("time (s)")
    axes[0, 0].legend()
    fig.savefig(path, metadata={"Software": None})
    plt.close(fig)


def markdown(results: dict, figures: str = "") -> str:
    """Return the page's part that a measurement writes."""
    where = results["machine"]
    lines = [
        f"Measured on {results['date']}: {where['processor']}, {where['cores']} cores, two workers "
        f"of one thread each, {where['system']}; Python {where['Python']}, numpy {where['numpy']}, "
        f"torch {where['torch']}, distributed {where['distributed']}; this collection "
        f"{where['collection']}." + (" Small sizes: a trial." if results["quick"] else ""),
        "",
    ]
    for row in results["topics"]:
        head = [row["title"], "measured", "goal", "verdict"]
        lines += [f"## {row['name'].capitalize()}", "", row["about"], ""]
        lines += [render(head, verdict(row), "markdown").rstrip(), ""]
        lines += [render(["on 100 workers, on paper", ""], row["paper"], "markdown").rstrip(), ""]
        sleeps = [
            [str(s["workers"]), str(s["tasks"]), duration(s["predicted"]), duration(s["measured"])]
            for s in row["simulated"]
        ]
        head = ["simulated workers", "tasks that sleep", "predicted", "measured"]
        lines += [render(head, sleeps, "markdown").rstrip(), ""]
    measured = [row["name"] for row in results["topics"]]
    if later := [name for name in TOPICS if name not in measured]:
        lines += [f"Not measured yet: {', '.join(later)}.", ""]
    text = "predicted and measured time of tasks that only sleep, against the number of workers"
    lines += [f"![Simulation: {text}, a panel for each notebook]({figures}scale.png)", ""]
    return "\n".join(lines).rstrip() + "\n"


def store(results: dict, folder: Path) -> None:
    """Write scale.json and its figure."""
    write(folder / "scale.json", json.dumps(results, indent=1, ensure_ascii=False) + "\n")
    figure(results["topics"], folder / "scale.png")


def publish() -> None:
    """Copy the last whole measurement to benchmarks/report and docs/scale.md."""
    new = BUILD / "scale" / "scale.json"
    file = new if new.exists() else REPORT / "scale.json"
    if not file.exists():
        raise SystemExit(f"{file} is missing: run `make scale` first")
    results = json.loads(file.read_text(encoding="utf-8"))
    if results["machine"]["collection"].endswith("-dirty"):
        raise SystemExit("commit first, then measure: the report names the commit it measured")
    store(results, REPORT)
    page = ROOT / "docs" / "scale.md"
    text = markdown(results, "../benchmarks/report/")
    write(page, between(page.read_text(encoding="utf-8"), "scale", text))


def main() -> None:
    """Parse the command line, measure or publish."""
    survive_any_console()
    options = command_line(__doc__).parse_args()
    if options.command == "report":
        publish()
        return
    if cluster.missing():
        raise SystemExit(1)
    here = machine() | {"distributed": version("distributed")}
    results = {"date": datetime.date.today().isoformat(), "quick": options.quick, "machine": here}
    names = [name for name in TOPICS if options.only in name]
    results["topics"] = [measure(name, options.quick) for name in tqdm(names, unit="")]
    folder = BUILD / ("scale-trial" if options.quick or options.only else "scale")
    store(results, folder)
    write(folder / "scale.md", markdown(results))
    print(markdown(results))
    print(f"written to {folder.relative_to(ROOT)}/")


if __name__ == "__main__":
    main()
