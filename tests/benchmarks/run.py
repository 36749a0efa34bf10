"""Run the comparisons against the peers, and write down what came out.

usage: python tests/benchmarks/run.py     measures everything; writes build/bench/
       python tests/benchmarks/run.py [--quick] [--only NAME]   a trial; writes build/bench-trial/
       python tests/benchmarks/run.py report    copies the last whole measurement into README.md
"""

import os

# One thread for everybody; read when the libraries are loaded.
for what in ("OMP_NUM", "OPENBLAS_NUM", "MKL_NUM", "VECLIB_MAXIMUM", "RAYON_NUM"):
    os.environ[f"{what}_THREADS"] = "1"

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
from matplotlib.ticker import NullFormatter
from tqdm import tqdm

from common.data import mnist_pair
from common.plotting import COLOURS, use_style

TOPICS = sorted({path.stem for path in Path(__file__).parent.glob("*.py")} - {"pairs", "run"})
BUILD = ROOT / "build" / "bench"
TRIAL = ROOT / "build" / "bench-trial"  # so that a trial leaves the last whole measurement alone
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


def duration(s: float) -> str:
    """Format seconds with two significant digits and a unit that suits them."""
    unit, factor = ("s", 1) if s >= 1 else ("ms", 1e3) if s >= 1e-3 else ("µs", 1e6)
    value = s * factor
    return f"{value:.0f} {unit}" if value >= 10 else f"{value:.2g} {unit}"


def costs(line: dict) -> tuple[list, list]:
    """Return sizes, and time in s and peak memory in MB of these sizes, as far as known."""
    # The system counts pages, and tells nothing apart below a tenth of a megabyte.
    known = [
        (n, b / 1e6) for n, b in zip(line["sizes"], line["bytes"], strict=True) if b and b > 1e5
    ]
    return [line["sizes"], [n for n, _ in known]], [line["seconds"], [b for _, b in known]]


def _exponent(sizes: list, cost: list) -> str:
    if not sizes:
        return ": none seen above 0.1 MB"
    power = exponent(sizes, cost)
    return "" if power is None else f": exponent {power:.2f}"


def figure(row: dict, path: Path) -> None:
    """Draw time and peak memory against the size, both axes logarithmic."""
    use_style()
    fig, axes = plt.subplots(1, 2, figsize=(8, 3))
    looks = {"textbook loop": ("grey", "^"), "this collection": ("blue", "o")}
    for line in reversed(row["lines"]):  # ours last, on top
        colour, marker = looks.get(line["name"], ("vermilion", "s"))
        for ax, sizes, cost in zip(axes, *costs(line), strict=True):
            label = f"{line['name']}{_exponent(sizes, cost)}"
            ax.loglog(sizes, cost, color=COLOURS[colour], marker=marker, label=label)
    axes[0].set(xlabel=row["variable"], ylabel="time (s)", title=row["name"])
    axes[1].set(xlabel=row["variable"], ylabel="peak memory (MB)")
    for ax in axes:
        ax.legend(loc="upper left", fontsize="small")
        for axis in (ax.xaxis, ax.yaxis):
            axis.set_minor_formatter(NullFormatter())  # they would lie on top of each other
        low, high = ax.get_ylim()  # room for the legend above the curves
        ax.set_ylim(low, high * (high / low) ** 0.5)
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
    unit, measured, goal = f" {row['unit']}".rstrip(), row["measured"], row["goal"]
    cells = [
        row["name"].split(": ", 1)[1],
        "not measurable here" if measured is None else f"{measured:.4g}{unit}",
        "none" if goal is None else f"{goal:.4g}{unit}",
        "" if None in (measured, goal) else "reached" if measured <= goal else "missed",
    ]
    return "| " + " | ".join(cells) + " |"


HOW_TO_READ = """\
Both sides work on the same input and on one thread, in turns within one run, from the same start
and with the same stopping rule where both have one; each topic says where they differ.

Two numbers with a stroke between them are ours / the peer's. A ratio is our time over the peer's,
the median of five pairs with its range: below one the notebook's version took less. The column
after the goal holds what both are rated by, lower is better; where ours is worse by more than the
share in the column's head, the row says "not comparable", however fast it was. The *textbook
loop* is the plain form of the same algorithm, which stands in the notebook beside the fast one:
how many times as long as ours it takes, left blank where it was not run. In the figures time and
memory (what the work adds to its input) grow with the problem, on logarithmic axes, with exponents
fitted to the upper half of each line.
"""


def markdown(results: dict, figures: str = "") -> str:
    """Return the report: what it was measured on, the tables, the figures in folder `figures`."""
    where = results["machine"]
    versions = {n: where[n] for n in ("Python", "numpy", "scipy", "torch")} | results["peers"]
    versions = ", ".join(f"{name} {number}" for name, number in versions.items())
    lines = [
        f"Measured on {results['date']}: {where['processor']}, {where['cores']} cores, one thread "
        f"each, {where['system']}; {versions}; this collection {where['collection']}."
        + (f" Digits: {results['digits']}." if results["digits"] else "")
        + (" Small sizes, for a trial: the goals don't apply." if results["quick"] else ""),
        "",
        HOW_TO_READ,
    ]
    kinds = ("comparisons", "limits", "growths")
    names = [row["name"] for kind in kinds for row in results[kind]]
    for topic in sorted({name.split(":")[0] for name in names}):
        conditions = importlib.import_module(f"benchmarks.{topic}").__doc__ or ""
        lines += [f"### {topic.capitalize()}", "", inspect.cleandoc(conditions), ""]
        compared, limited, grown = (
            [row for row in results[kind] if row["name"].startswith(f"{topic}:")] for kind in kinds
        )
        tables = [(row["peer"], row["rated_by"], row["tolerance"]) for row in compared]
        for peer, rated_by, tolerance in dict.fromkeys(tables):
            share = f" (within {tolerance:g})" if tolerance else ""
            lines += [
                f"| against {peer} | time | ratio (range) | goal | {rated_by}{share} "
                "| textbook loop |",
                "| --- | --- | --- | --- | --- | --- |",
                *(
                    _comparison(row)
                    for row, table in zip(compared, tables, strict=True)
                    if table == (peer, rated_by, tolerance)
                ),
                "",
            ]
        if limited:
            lines += [
                "| what | measured | limit | verdict |",
                "| --- | --- | --- | --- |",
                *map(_limit, limited),
                "",
            ]
        for row in grown:
            lines += [f"![{alternative(row)}]({figures}{slug(row['name'])}.png)", ""]
    for row in results["skipped"]:
        lines += [f"Not measured, as {row['peer']} is not installed: {row['name']}.", ""]
    return "\n".join(lines).rstrip() + "\n"


def alternative(row: dict) -> str:
    """Return the text alternative of a growth figure."""
    parts = []
    for line in row["lines"]:
        decades = math.log10(line["sizes"][-1] / line["sizes"][0])
        (sizes, _), (seconds, _) = costs(line)
        parts.append(f"{line['name']} over {decades:.1f} decades{_exponent(sizes, seconds)}")
    return f"{row['name']}: time and peak memory against {row['variable']}; time of " + ", ".join(
        parts
    )


def write(results: dict, folder: Path) -> None:
    """Write results.json, report.md and one figure for each growth curve, and nothing else."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    text = json.dumps(results, indent=1, ensure_ascii=False) + "\n"
    (folder / "results.json").write_text(text, encoding="utf-8")
    (folder / "report.md").write_text(markdown(results), encoding="utf-8")
    for row in results["growths"]:
        figure(row, folder / f"{slug(row['name'])}.png")


def section(results: dict) -> str:
    """Return the README's performance section, markers included."""
    return f"{START}\n{markdown(results, f'{REPORT.relative_to(ROOT).as_posix()}/')}{END}"


def report() -> None:
    """Copy the last whole measurement into the README and beside this file.

    Where none was made here, the one that is stored beside this file, whose words may have changed.
    """
    last = BUILD if (BUILD / "results.json").exists() else REPORT
    try:
        results = json.loads((last / "results.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SystemExit(f"{BUILD / 'results.json'} is missing: run `make bench` first") from None
    expected = {item.name for items in collect("").values() for item in items}
    kinds = ("comparisons", "limits", "growths")
    found = {row["name"] for kind in kinds for row in results[kind]}
    if results["quick"] or results["skipped"] or found != expected:
        raise SystemExit(
            "only a whole `make bench`, neither quick nor with skips, goes into the README"
        )
    if results["machine"]["collection"].endswith("-dirty"):
        raise SystemExit(
            "commit first, then measure: the README names the commit that was measured"
        )
    readme = ROOT / "README.md"
    before, rest = readme.read_text(encoding="utf-8").split(START)
    after = rest.split(END)[1]
    write(results, REPORT)
    (REPORT / "report.md").unlink()
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
    results = measure(collect(options.only), options.quick)
    folder = TRIAL if options.quick or options.only else BUILD
    write(results, folder)
    print(markdown(results))
    print(f"written to {folder.relative_to(ROOT)}/")


if __name__ == "__main__":
    main()
