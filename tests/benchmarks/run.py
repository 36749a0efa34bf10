"""Run the comparisons against the peers, and write down what came out.

usage: python tests/benchmarks/run.py [--quick] [--only NAME]   measures; writes build/bench/
       python tests/benchmarks/run.py report                    copies that into README.md
"""

import os

# One thread for everybody, unless the caller says otherwise; read when the libraries are loaded.
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS"):
    os.environ.setdefault(variable, os.environ.get("OMP_NUM_THREADS", "1"))

import argparse
import datetime
import importlib
import inspect
import json
import math
import platform
import shutil
import statistics
import subprocess
import sys
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import matplotlib

matplotlib.use("agg")
import matplotlib.pyplot as plt
from benchmarks.pairs import Growth, curve, exponent, race
from tqdm import tqdm

from common.data import mnist_pair
from common.plotting import COLOURS, use_style

TOPICS = sorted({path.stem for path in Path(__file__).parent.glob("*.py")} - {"pairs", "run"})
BUILD = ROOT / "build" / "bench"
REPORT = Path(__file__).parent / "report"  # what the README shows; results.json and the figures
START, END = "<!-- bench:start -->", "<!-- bench:end -->"


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
        "threads": os.environ["OMP_NUM_THREADS"],
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
        "topics": {},
        "peers": {},
        "comparisons": [],
        "limits": [],
        "growths": [],
        "skipped": [],
    }
    bar = tqdm([(kind, item) for kind, items in found.items() for item in items], unit="")
    for kind, item in bar:
        bar.set_description(item.name[:50])
        peer = getattr(item, "peer", None)
        topic = item.name.split(":")[0]
        conditions = importlib.import_module(f"benchmarks.{topic}").__doc__ or ""
        results["topics"][topic] = inspect.cleandoc(conditions)
        if installed(peer):
            results["peers"][peer] = installed(peer)
        elif peer:
            results["skipped"].append({"name": item.name, "peer": peer})
            bar.write(f"skipped, {peer} is not installed: {item.name}")
        if kind == "cases" and installed(peer):
            done = race(item, quick, pairs=3 if quick else 5)
            results["comparisons"].append(
                asdict(done)
                | {"ratio": done.ratio, "comparable": done.comparable, "verdict": done.verdict}
            )
        elif kind == "limits":
            row = {"name": item.name, "unit": item.unit, "goal": item.goal}
            measured = item.measure(quick)
            results["limits"].append(row | {"measured": measured, "reached": measured <= item.goal})
        elif kind == "growths":
            results["growths"].append(grow(item, quick))
        if topic == "classification":
            results["digits"] = {"mnist": "MNIST", "strokes": "drawn"}[mnist_pair().source]
    return results


def grow(item: Growth, quick: bool) -> dict:
    """Measure one growth curve, the peer's where it is installed, and the textbook loop's."""
    sizes = item.sizes[: max(2, len(item.sizes) // 2)] if quick else item.sizes
    ways = {"this collection": item.build}
    if installed(item.peer):
        ways[f"{item.peer} {installed(item.peer)}"] = item.build_peer
    ways["textbook loop"] = item.build_naive
    lines = []
    for name, build in ways.items():
        times, peaks = curve(build, sizes)
        measured = sizes[: len(times)]
        lines.append({"name": name, "sizes": measured, "seconds": times, "bytes": peaks})
        lines[-1]["exponent"] = exponent(measured, times)
    return {"name": item.name, "variable": item.variable, "lines": lines}


def duration(s: float) -> str:
    """Format seconds with two significant digits and a unit that suits them."""
    unit, factor = ("s", 1) if s >= 1 else ("ms", 1e3) if s >= 1e-3 else ("µs", 1e6)
    value = s * factor
    return f"{value:.0f} {unit}" if value >= 10 else f"{value:.2g} {unit}"


def figure(row: dict, path: Path) -> None:
    """Draw time and peak memory against the size, both axes logarithmic."""
    use_style()
    fig, axes = plt.subplots(1, 2, figsize=(8, 3))
    looks = {"textbook loop": ("grey", "^"), "this collection": ("blue", "o")}
    for line in reversed(row["lines"]):  # ours last, on top
        colour, marker = looks.get(line["name"], ("vermilion", "s"))
        style = {"color": COLOURS[colour], "marker": marker}
        label = f"{line['name']}: exponent {line['exponent']:.2f}"
        axes[0].loglog(line["sizes"], line["seconds"], label=label, **style)
        # Below a tenth of a megabyte the system does not tell them apart; None: it cannot say.
        peaks = [None if b is None or b < 1e5 else b / 1e6 for b in line["bytes"]]
        known = [(n, b) for n, b in zip(line["sizes"], peaks, strict=True) if b]
        if known:
            axes[1].loglog(*zip(*known, strict=True), **style)
    axes[0].set(xlabel=row["variable"], ylabel="time (s)", title=row["name"])
    axes[1].set(xlabel=row["variable"], ylabel="peak memory (MB)")
    axes[0].legend(loc="upper left")
    # Room for the legend above the curves.
    low, high = axes[0].get_ylim()
    axes[0].set_ylim(low, high * (high / low) ** 0.5)
    fig.savefig(path, metadata={"Software": None})
    plt.close(fig)


def slug(name: str) -> str:
    """Return a file name made of the name's letters and digits."""
    return "-".join("".join(c if c.isascii() and c.isalnum() else " " for c in name).split())


def _comparison(row: dict) -> str:
    ours, theirs = statistics.median(row["ours"]), statistics.median(row["theirs"])
    goal = f"≤ {row['goal']:g}: " if row["verdict"] in ("reached", "missed") else ""
    results = f"{row['objective']:.6g}", f"{row['their_objective']:.6g}"
    cells = [
        row["name"].split(": ", 1)[1],
        f"{duration(ours)} / {duration(theirs)}",
        f"{row['ratio']:.2g} ({min(row['ratios']):.2g}–{max(row['ratios']):.2g})",
        goal + row["verdict"],
        f"both {results[0]}" if results[0] == results[1] else " / ".join(results),
        _naive(row, ours),
    ]
    return "| " + " | ".join(cells) + " |"


def _naive(row: dict, ours: float) -> str:
    if row["naive"] is None:
        return ""
    slack = row["tolerance"] * abs(row["objective"])
    if not row["naive_objective"] <= row["objective"] + slack:  # also for NaN
        return "not comparable"
    times = row["naive"] / ours
    return f"{times:.2g} ×" if times < 99.5 else f"{times:.0f} ×"


def _limit(row: dict) -> str:
    unit = f" {row['unit']}".rstrip()
    cells = [
        row["name"].split(": ", 1)[1],
        f"{row['measured']:.4g}{unit}",
        f"{row['goal']:.4g}{unit}",
        "reached" if row["reached"] else "missed",
    ]
    return "| " + " | ".join(cells) + " |"


def markdown(results: dict) -> str:
    """Return the report: what it was measured on, the tables, the figures by relative path."""
    where = results["machine"]
    versions = {n: where[n] for n in ("Python", "numpy", "scipy", "torch")} | results["peers"]
    versions = ", ".join(f"{name} {number}" for name, number in versions.items())
    lines = [
        f"Measured on {results['date']}: {where['processor']}, {where['cores']} cores, "
        f"{where['threads']} thread{'s' if where['threads'] != '1' else ''} each, "
        f"{where['system']}; {versions}; this collection {where['collection']}."
        + (f" Digits: {results['digits']}." if results["digits"] else "")
        + (" Small sizes, for a trial: the goals don't apply." if results["quick"] else ""),
        "",
    ]
    for topic, conditions in sorted(results["topics"].items()):
        lines += [f"### {topic.capitalize()}", "", conditions, ""]
        mine = {
            kind: [row for row in results[kind] if row["name"].startswith(f"{topic}:")]
            for kind in ("comparisons", "limits", "growths")
        }
        kinds = [(row["peer"], row["rated_by"]) for row in mine["comparisons"]]
        for peer, rated_by in dict.fromkeys(kinds):
            lines += [
                f"| against {peer} | time | ratio (range) | goal | {rated_by} | textbook loop |",
                "| --- | --- | --- | --- | --- | --- |",
                *(
                    _comparison(row)
                    for row, kind in zip(mine["comparisons"], kinds, strict=True)
                    if kind == (peer, rated_by)
                ),
                "",
            ]
        if mine["limits"]:
            lines += [
                "| what | measured | limit | verdict |",
                "| --- | --- | --- | --- |",
                *map(_limit, mine["limits"]),
                "",
            ]
        for row in mine["growths"]:
            lines += [f"![{alternative(row)}]({slug(row['name'])}.png)", ""]
    for row in results["skipped"]:
        lines += [f"Skipped, {row['peer']} is not installed: {row['name']}.", ""]
    return "\n".join(lines).rstrip() + "\n"


def alternative(row: dict) -> str:
    """Return the text alternative of a growth figure."""
    sizes = row["lines"][0]["sizes"]
    decades = math.log10(sizes[-1] / sizes[0])
    exponents = ", ".join(f"{line['name']} {line['exponent']:.2f}" for line in row["lines"])
    return (
        f"{row['name']}: time and peak memory against {row['variable']} "
        f"over {decades:.1f} decades; fitted exponents of the time: {exponents}"
    )


def write(results: dict, folder: Path) -> None:
    """Write results.json, report.md and one figure for each growth curve."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(results, indent=1, ensure_ascii=False) + "\n"
    (folder / "results.json").write_text(text, encoding="utf-8")
    (folder / "report.md").write_text(markdown(results), encoding="utf-8")
    for row in results["growths"]:
        figure(row, folder / f"{slug(row['name'])}.png")


def section(results: dict) -> str:
    """Return the README's performance section, markers included."""
    body = markdown(results).replace("](", f"]({REPORT.relative_to(ROOT).as_posix()}/")
    return f"{START}\n{body}{END}"


def report() -> None:
    """Copy the last complete measurement into the README and beside this file."""
    try:
        results = json.loads((BUILD / "results.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SystemExit(f"{BUILD / 'results.json'} is missing: run `make bench` first") from None
    found = collect("")
    measured = sum(len(results[key]) for key in ("comparisons", "limits", "growths"))
    if results["quick"] or results["skipped"] or measured < sum(map(len, found.values())):
        raise SystemExit(
            "only a whole `make bench`, neither quick nor with skips, goes into the README"
        )
    readme = ROOT / "README.md"
    before, rest = readme.read_text(encoding="utf-8").split(START)
    after = rest.split(END)[1]
    shutil.rmtree(REPORT, ignore_errors=True)
    shutil.copytree(BUILD, REPORT, ignore=shutil.ignore_patterns("report.md"))
    readme.write_text(before + section(results) + after, encoding="utf-8")


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("command", nargs="?", choices=["report"], help=argparse.SUPPRESS)
    parser.add_argument("--only", default="", metavar="NAME", help="only what has NAME in its name")
    parser.add_argument("--quick", action="store_true", help="small sizes, three pairs: a trial")
    options = parser.parse_args()
    if options.command == "report":
        report()
        return
    found = collect(options.only)
    results = measure(found, options.quick)
    shutil.rmtree(BUILD, ignore_errors=True)  # not before: a run that was broken off loses nothing
    write(results, BUILD)
    print(markdown(results))
    print(f"written to {BUILD.relative_to(ROOT)}/")


if __name__ == "__main__":
    main()
