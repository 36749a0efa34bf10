"""Run the comparisons against the peers.

usage: python -m benchmarks.run     measures everything; writes build/bench/
       python -m benchmarks.run [--quick] [--only NAME]   a trial; writes build/bench-trial/
       python -m benchmarks.run --again TOPIC   measures a topic anew in the last whole one
       python -m benchmarks.run report    publishes the last whole measurement
"""

import os

# One thread for everybody; read when the libraries are loaded.
for what in ("OMP_NUM", "OPENBLAS_NUM", "MKL_NUM", "VECLIB_MAXIMUM", "RAYON_NUM"):
    os.environ[f"{what}_THREADS"] = "1"

import argparse
import datetime
import importlib
import inspect
import platform
import subprocess
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from tqdm import tqdm

from benchmarks import report
from benchmarks.measure import Growth, curve, race
from common.digits import mnist_pair
from tools.project import BUILD, ROOT, survive_any_console, write

CONCLUDED = ("ratios", "ratio", "comparable", "verdict")  # from what was measured of a case
TOPICS = ["classification", "clustering", "recommender", "regression"]
WHOLE = BUILD / "bench"
TRIAL = BUILD / "bench-trial"  # so that a trial leaves the last whole measurement alone


def installed(peer: str | None) -> str | None:
    """Return the version of a distribution, or None where it isn't installed."""
    try:
        return version(peer) if peer else None
    except PackageNotFoundError:
        return None


def collect(only: str) -> dict[str, list]:
    """Return all cases, limits and growths whose name contains `only`."""
    found = {"cases": [], "limits": [], "growths": []}
    names = []
    for topic in TOPICS:
        module = importlib.import_module(f"benchmarks.{topic}")
        for kind, items in found.items():
            these = getattr(module, kind, list)()
            names += [item.name for item in these]
            items += [item for item in these if only.lower() in item.name.lower()]
    if not any(found.values()):
        known = "\n  ".join(names)
        raise SystemExit(f"--only {only}: expected a part of one of these names:\n  {known}")
    return found


def _commit() -> str:
    """Return the commit that is measured, with "-dirty" where files were changed since."""
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--exclude", "*"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "not under git"
    return done.stdout.strip()


def machine() -> dict[str, str]:
    """Return what the times depend on: processor, cores, threads, versions."""
    processor = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        processor = next(line.split(": ")[1] for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    return {
        "processor": processor,
        "cores": str(os.cpu_count()),
        "system": platform.system(),
        "collection": _commit(),
        "Python": platform.python_version(),
        **{name: version(name) for name in ("numpy", "scipy", "torch", "matplotlib")},
    }


def measure(found: dict[str, list], quick: bool) -> dict:
    """Measure everything, with a progress bar, and return what `results.json` holds."""
    results = {
        "date": datetime.date.today().isoformat(),
        "quick": quick,
        "machine": machine(),
        "digits": None,
        "conditions": {},  # in the words of the day: an older measurement keeps its own
        "peers": {},
        "comparisons": [],
        "limits": [],
        "growths": [],
        "skipped": [],
    }
    bar = tqdm([(kind, item) for kind, items in found.items() for item in items], unit="")
    for kind, item in bar:
        bar.set_description(item.name[:50])
        topic = item.name.split(":")[0]
        about = importlib.import_module(f"benchmarks.{topic}").__doc__ or ""
        results["conditions"][topic] = inspect.cleandoc(about)
        peer = getattr(item, "peer", None)
        if installed(peer):
            results["peers"][peer] = installed(peer)
        elif peer:
            results["skipped"].append({"name": item.name, "peer": peer})
            bar.write(f"skipped, {peer} is not installed: {item.name}")
        if kind == "cases" and installed(peer):
            done = race(item, quick, pairs=3 if quick else 5)
            concluded = {name: getattr(done, name) for name in CONCLUDED}
            results["comparisons"].append(asdict(done) | concluded)
        elif kind == "limits" and (installed(peer) or not peer):
            row = {"name": item.name, "unit": item.unit, "goal": None if quick else item.goal}
            results["limits"].append(row | {"measured": item.measure(quick)})
        elif kind == "growths":
            results["growths"].append(grow(item, quick))
        if item.name.startswith("classification:") and not results["digits"]:
            results["digits"] = {"mnist": "MNIST", "strokes": "drawn"}[mnist_pair().source]
    return results


def grow(item: Growth, quick: bool) -> dict:
    """Measure one growth curve, the peer's where it is installed, and the textbook loop's."""
    sizes = item.sizes[:3] if quick else item.sizes
    ways = {"this collection": item.build}
    if installed(item.peer):
        ways[f"{item.peer} {installed(item.peer)}"] = item.build_peer
    ways["textbook loop"] = item.build_naive
    lines = []
    for name, build in ways.items():
        times, peaks = curve(build, sizes)
        lines.append({"name": name, "sizes": sizes[: len(times)], "seconds": times, "bytes": peaks})
    return {"name": item.name, "variable": item.variable, "lines": lines}


def command_line(about: str) -> argparse.ArgumentParser:
    """Return what reads `report`, --only and --quick, of this command and of `benchmarks.scale`."""
    parser = argparse.ArgumentParser(
        description=about, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("command", nargs="?", choices=["report"], help=argparse.SUPPRESS)
    parser.add_argument("--only", default="", metavar="NAME", help="only what has NAME in its name")
    parser.add_argument("--quick", action="store_true", help="small sizes: a trial")
    return parser


def renewed(old: dict, new: dict, topic: str) -> dict:
    """Return a whole measurement in which one topic is that of another, and says when it was."""
    results = old | {"conditions": old["conditions"] | new["conditions"]}
    results |= {"peers": old["peers"] | new["peers"], "skipped": old["skipped"] + new["skipped"]}
    for kind in ("comparisons", "limits", "growths"):
        others = [row for row in old[kind] if not row["name"].startswith(f"{topic}:")]
        results[kind] = others + new[kind]
    when = {"date": new["date"], "machine": new["machine"]}
    return results | {"again": old.get("again", {}) | {topic: when}}


def main() -> None:
    """Parse the command line, measure or publish."""
    survive_any_console()
    parser = command_line(__doc__)
    parser.add_argument("--again", choices=TOPICS, help="this topic anew, in the last whole run")
    options = parser.parse_args()
    if options.again:
        last = report.last_of(WHOLE)
        new = measure(collect(f"{options.again}:"), quick=False)
        results = renewed(last, new, options.again)
        report.store(results, WHOLE)
        print(report.markdown(results))
        return
    if options.command == "report":
        items = (item for items in collect("").values() for item in items)
        report.publish(WHOLE, {item.name for item in items})
        return
    results = measure(collect(options.only), options.quick)
    folder = TRIAL if options.quick or options.only else WHOLE
    report.store(results, folder)
    write(folder / "report.md", report.markdown(results))
    print(report.markdown(results))
    print(f"written to {folder.relative_to(ROOT)}/")


if __name__ == "__main__":
    main()
