"""Execute the notebooks.

usage: python -m tools.execute run        copies under build/, with HTML pages and a table
       python -m tools.execute refresh    in place; a refresh without a change changes no byte
"""

import asyncio
import os
import re
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from tools.notebooks import evidence, fingerprint, preview, read
from tools.pages import HEADER, index_page, to_html
from tools.project import BUILD, NOTEBOOKS, ROOT, write

CELL_LIMIT = 600  # seconds after which a cell counts as hung
KERNELSPEC = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}


@dataclass
class Execution:
    """What came of executing one notebook."""

    path: Path
    notebook: dict
    seconds: float
    error: str | None

    @property
    def failures(self) -> list[str]:
        """What went wrong, in words; empty if the notebook holds."""
        table = evidence(self.notebook)
        failures = [self.error] if self.error else []
        if table is None:
            failures.append("no evidence table was reached")
        else:
            failures += [f"evidence: {r['claim']}" for r in table["rows"] if not r["passed"]]
        return failures


def execute_all(paths: list[Path]) -> list[Execution]:
    """Execute notebooks, each in its own folder, two at a time where there are two cores."""
    from tqdm import tqdm

    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    at_a_time = min(2, cores)
    # The stored outputs have no progress bars; and two notebooks share the cores fairly.
    env = {"OMP_NUM_THREADS": str(max(1, cores // at_a_time)), **os.environ, "TQDM_DISABLE": "1"}

    async def all_of_them() -> list[Execution]:
        slots = asyncio.Semaphore(at_a_time)
        notebooks = [read(path) for path in paths]
        cells = sum(c.cell_type == "code" for notebook in notebooks for c in notebook.cells)
        running: list[str] = []
        with tqdm(total=cells, unit="cell", disable=False) as bar:

            async def one(path: Path, notebook) -> Execution:
                async with slots:
                    running.append(path.parent.name)
                    bar.set_postfix_str(" + ".join(running))
                    result = await execute(path, notebook, env, bar.update)
                    running.remove(path.parent.name)
                    bar.set_postfix_str(" + ".join(running))
                    return result

            return await asyncio.gather(*map(one, paths, notebooks))

    return asyncio.run(all_of_them())


async def execute(path: Path, notebook, env: dict[str, str], tick) -> Execution:
    """Execute one notebook in memory, calling `tick` after each cell."""
    from nbclient import NotebookClient

    for cell in notebook.cells:
        if cell.cell_type == "code":  # what an earlier run left must not pass for this one's
            cell.outputs, cell.execution_count = [], None
    error, started = None, time.perf_counter()
    client = NotebookClient(
        notebook,
        timeout=CELL_LIMIT,
        kernel_name="python3",
        extra_arguments=["--log-level=ERROR"],  # else each kernel warns of what it always does
        resources={"metadata": {"path": str(path.parent)}},
        record_timing=False,
        coalesce_streams=True,  # else chance decides where printed text is cut into pieces
        on_cell_complete=lambda cell, cell_index: tick(),
    )
    try:
        await client.async_execute(env=env)
    except Exception as failure:  # a cell's, a time-out's, or a kernel's that did not start
        last = (str(failure).strip() or repr(failure)).splitlines()[-1]
        error = re.sub(r"\x1b\[[0-9;]*m", "", last)  # the kernel's words, without their colours
    return Execution(path, notebook, time.perf_counter() - started, error)


# run -------------------------------------------------------------------------------------------


def run() -> int:
    """Execute copies of all notebooks, write them and their pages to build/, print the table."""
    import nbformat

    # The longest first; the table has them in their order.
    longest_first = sorted(NOTEBOOKS, key=lambda path: path.parent.name != "classification")
    results = sorted(execute_all(longest_first), key=lambda r: NOTEBOOKS.index(r.path))
    rows = []
    for result in results:
        copy = BUILD / result.path.relative_to(ROOT)
        write(copy, nbformat.writes(result.notebook) + "\n")
        write(copy.with_suffix(".html"), to_html(result.notebook, result.path.stem))
        table = evidence(result.notebook) or {"data": "–", "rows": []}
        passed = sum(row["passed"] for row in table["rows"])
        rows.append(
            (
                str(result.path.relative_to(ROOT).as_posix()),
                table["data"],
                f"{result.seconds:.1f}",
                f"{passed} of {len(table['rows'])}" + (" FAILED" if result.failures else ""),
            )
        )
    write(BUILD / "index.html", index_page(rows))
    widths = [max(len(row[j]) for row in [HEADER, *rows]) for j in range(4)]
    print()
    for row in [HEADER, tuple("-" * w for w in widths), *rows]:
        print("  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip())
    print(f"\nPages: {(BUILD / 'index.html').as_uri()}")
    for result in results:
        for failure in result.failures:
            print(f"FAILED {result.path.relative_to(ROOT).as_posix()}: {failure}", file=sys.stderr)
    return int(any(result.failures for result in results))


# refresh ---------------------------------------------------------------------------------------


def refresh() -> int:
    """Execute the notebooks in place; write only those that run to their end."""
    import nbformat

    status = 0
    for result in execute_all(NOTEBOOKS):
        name = result.path.relative_to(ROOT).as_posix()
        failures = result.failures
        stored, new = read(result.path), result.notebook
        if not failures and "stroke" in evidence(new)["data"]:
            failures = ["the stored outputs come from real MNIST, which was not found"]
        if failures:
            status = 1
            print(f"FAILED {name}: left as it was: {'; '.join(failures)}", file=sys.stderr)
            continue
        normalise(new, stored)
        text = nbformat.writes(new) + "\n"
        unchanged = text.encode() == result.path.read_bytes()
        write(result.path, text)
        write(result.path.with_name("preview.png"), preview(new))
        print(f"{name}: {'unchanged' if unchanged else 'refreshed'}")
    return status


def normalise(new, stored) -> None:
    """Remove from a freshly executed notebook what differs without a reason.

    Timings differ from run to run and pictures from machine to machine. As long as nothing changed
    that decides on them, the stored ones are as true as the new ones, and they are kept.
    """
    new.metadata = {
        "kernelspec": KERNELSPEC,
        "language_info": {"name": "python"},
        "fingerprint": fingerprint(new),
    }
    same = stored.metadata.get("fingerprint") == new.metadata["fingerprint"]
    for i, cell in enumerate(new.cells):
        if cell.cell_type != "code":
            continue
        for output in cell.outputs:
            output.pop("transient", None)
        if not same:
            continue
        before = stored.cells[i].outputs
        if "nbval-ignore-output" in cell.metadata.get("tags", []):
            cell.outputs = before
        elif len(before) == len(cell.outputs):
            for old, output in zip(before, cell.outputs, strict=True):
                if "image/png" in output.get("data", {}) and "image/png" in old.get("data", {}):
                    output.data["image/png"] = old.data["image/png"]


if __name__ == "__main__":
    commands = {"run": run, "refresh": refresh}
    if len(sys.argv) != 2 or sys.argv[1] not in commands:
        sys.exit(__doc__)
    sys.exit(commands[sys.argv[1]]())
