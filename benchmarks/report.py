"""The report of a measurement: tables, figures, docs/speed.md, and a line each in the README."""

import json
import math
import statistics
from collections.abc import Iterable
from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.ticker import NullFormatter

from benchmarks.measure import exponent
from common.plotting import COLOURS, use_style
from common.tables import render
from tools.project import ROOT, write
from tools.readme import between

REPORT = Path(__file__).parent / "report"  # the stored measurement: results.json and the figures
KINDS = ("comparisons", "limits", "growths")


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


def _comparison(row: dict) -> list[str]:
    ours, theirs = statistics.median(row["ours"]), statistics.median(row["theirs"])
    goal = f"≤ {row['goal']:g}: " if row["verdict"] in ("reached", "missed") else ""
    results = f"{row['objective']:.6g}", f"{row['their_objective']:.6g}"
    return [
        row["name"].split(": ", 1)[1],
        f"{duration(ours)} / {duration(theirs)}",
        f"{row['ratio']:.2g} ({min(row['ratios']):.2g}–{max(row['ratios']):.2g})",
        goal + row["verdict"],
        f"both {results[0]}" if results[0] == results[1] else " / ".join(results),
        _naive(row, ours),
    ]


def _naive(row: dict, ours: float) -> str:
    if row["naive"] is None:
        return ""
    slack = row["tolerance"] * abs(row["objective"])
    if not row["naive_objective"] <= row["objective"] + slack:  # also for NaN
        return "not comparable"
    times = row["naive"] / ours
    return f"{times:.2g} ×" if times < 99.5 else f"{times:.0f} ×"


def _limit(row: dict) -> list[str]:
    unit, measured, goal = f" {row['unit']}".rstrip(), row["measured"], row["goal"]
    return [
        row["name"].split(": ", 1)[1],
        "not measurable here" if measured is None else f"{measured:.4g}{unit}",
        "none" if goal is None else f"{goal:.4g}{unit}",
        "" if None in (measured, goal) else "reached" if measured <= goal else "missed",
    ]


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


def markdown(results: dict, figures: str = "", today: Iterable[str] = ()) -> str:
    """Return the report, and which of the names of `today` were not measured yet."""
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
    for topic in topics(results):
        lines += [f"## {topic.capitalize()}", "", results["conditions"][topic], ""]
        if again := results.get("again", {}).get(topic):
            when = f"Measured again on {again['date']}; this collection "
            lines += [f"{when}{again['machine']['collection']}.", ""]
        compared, limited, grown = (of_topic(results[kind], topic) for kind in KINDS)
        tables = [(row["peer"], row["rated_by"], row["tolerance"]) for row in compared]
        for table in dict.fromkeys(tables):
            peer, rated_by, tolerance = table
            rated_by += f" (within {tolerance:g})" if tolerance else ""
            head = [f"against {peer}", "time", "ratio (range)", "goal", rated_by, "textbook loop"]
            rows = zip(compared, tables, strict=True)
            rows = [_comparison(row) for row, its_table in rows if its_table == table]
            lines += [render(head, rows, "markdown").rstrip(), ""]
        if limited:
            head = ["what", "measured", "limit", "verdict"]
            lines += [render(head, [*map(_limit, limited)], "markdown").rstrip(), ""]
        for row in grown:
            lines += [f"![{alternative(row)}]({figures}{slug(row['name'])}.png)", ""]
    for row in results["skipped"]:
        lines += [f"Not measured, as {row['peer']} is not installed: {row['name']}.", ""]
    later = [name for name in today if name not in names(results)]
    if later:
        lines += ["## Not measured yet", "", *(f"- {name}" for name in later), ""]
    return "\n".join(lines).rstrip() + "\n"


def names(results: dict) -> set[str]:
    """Return the names of all that was measured."""
    return {row["name"] for kind in KINDS for row in results[kind]}


def topics(results: dict) -> list[str]:
    """Return the topics that were measured, in order."""
    return sorted({name.split(":")[0] for name in names(results)})


def of_topic(rows: list[dict], topic: str) -> list[dict]:
    """Return the rows whose name begins with the topic."""
    return [row for row in rows if row["name"].startswith(f"{topic}:")]


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


def summary(results: dict) -> str:
    """Return a line for each topic: its least and its greatest ratio, and the goals reached."""
    lines = []
    for topic in topics(results):
        rows = of_topic(results["comparisons"], topic)
        fair = sorted((row for row in rows if row["comparable"]), key=lambda row: row["ratio"])
        if not fair:
            continue
        ends = " to ".join(
            f"{row['ratio']:.2g} × the time of {row['peer']} ({row['name'].split(': ', 1)[1]})"
            for row in [fair[0], *fair[1:][-1:]]
        )
        rated = [row["verdict"] for row in rows if row["verdict"] in ("reached", "missed")]
        lines.append(
            f"- [{topic.capitalize()}](docs/speed.md#{topic}): {ends}; "
            f"{rated.count('reached')} of {len(rated)} goals reached."
        )
    return "\n".join(lines)


def store(results: dict, folder: Path) -> None:
    """Write results.json and a figure for each growth curve; older figures go."""
    for old in set(folder.glob("*.png")) - {folder / "scale.png"}:  # that is `make scale`'s
        old.unlink()
    text = json.dumps(results, indent=1, ensure_ascii=False) + "\n"
    write(folder / "results.json", text)
    for row in results["growths"]:
        figure(row, folder / f"{slug(row['name'])}.png")


def last_of(folder: Path) -> dict:
    """Return the whole measurement in a folder, or else the stored one; SystemExit without any."""
    for file in (folder / "results.json", REPORT / "results.json"):
        if file.exists():
            return json.loads(file.read_text(encoding="utf-8"))
    raise SystemExit(f"{folder / 'results.json'} is missing: run `make bench` first")


def publish(last: Path, expected: set[str]) -> None:
    """Copy the last whole measurement to benchmarks/report, docs/speed.md and the README.

    `last` is the folder of a measurement. Where it has none, the stored one is published again:
    the words around its numbers may have changed. `expected` are the names of all that a whole
    one holds. SystemExit if there is none, it is not whole, or its commit is not known.
    """
    results, new = last_of(last), (last / "results.json").exists()
    if results["quick"] or results["skipped"] or (new and names(results) != expected):
        raise SystemExit("only a whole `make bench`, neither quick nor with skips, is published")
    measured = [results, *results.get("again", {}).values()]
    if any(each["machine"]["collection"].endswith("-dirty") for each in measured):
        raise SystemExit("commit first, then measure: the report names the commit it measured")
    store(results, REPORT)
    for file, text in pages(results, sorted(expected)).items():
        write(ROOT / file, between((ROOT / file).read_text(encoding="utf-8"), "bench", text))


def pages(results: dict, today: Iterable[str] = ()) -> dict[str, str]:
    """Return what stands between the marks `bench` of each file that shows the measurement."""
    return {
        "docs/speed.md": markdown(results, "../benchmarks/report/", today),
        "README.md": summary(results),
    }
