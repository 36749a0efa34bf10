"""Execute copies of the notebooks.

usage: python -m tools.execute run              copies under build/, with HTML pages and a table
       python -m tools.execute run NAME=value   those that have this parameter, on your own value
"""

import asyncio
import os
import re
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from common.tables import render
from tools.notebooks import alone, evidence, read
from tools.pages import index_page, to_html
from tools.parameters import given, in_readers_words, inject, parameters, suffix
from tools.project import BUILD, NOTEBOOKS, ROOT, survive_any_console, write

HEAD = ("notebook", "data used", "seconds", "evidence rows passed")
TOLD = ("Saved ", "Warning", "Do not trust")  # how lines begin that the terminal repeats
CELL_LIMIT = 600  # seconds after which a cell counts as hung


@dataclass
class Execution:
    """What came of executing one notebook."""

    path: Path
    notebook: dict
    seconds: float
    error: str | None
    times: dict  # of each cell that was executed, by its id, in seconds

    @property
    def failures(self) -> list[str]:
        """What went wrong, in words; empty if the notebook holds."""
        table = evidence(self.notebook)
        failures = [self.error] if self.error else []
        if table is None and not self.error:
            failures.append("no evidence table was reached")
        elif table:  # a finding on the reader's own data has no verdict: None
            failures += [f"evidence: {r['claim']}" for r in table["rows"] if r["passed"] is False]
        return failures

    @property
    def results(self) -> list[str]:
        """The printed lines that a reader of results alone needs: saved files and warnings."""
        outputs = (o for cell in self.notebook["cells"] for o in cell.get("outputs", []))
        lines = "".join(o.get("text", "") for o in outputs).splitlines()
        return [line for line in lines if line.startswith(TOLD)]


def execute_all(notebooks: dict) -> list[Execution]:
    """Execute notebooks, each in its own folder, two at a time where there are two cores.

    Parameters
    ----------
    notebooks : dict of Path to NotebookNode
        What to execute, and where it belongs. It is changed in memory; no file is.
    """
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
        cells = sum(c.cell_type == "code" for book in notebooks.values() for c in book.cells)
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

            return await asyncio.gather(*(one(*item) for item in notebooks.items()))

    return asyncio.run(all_of_them())


async def execute(path: Path, notebook, env: dict[str, str], tick) -> Execution:
    """Execute one notebook in memory, calling `tick` after each cell."""
    from nbclient import NotebookClient

    for cell in notebook.cells:
        if cell.cell_type == "code":  # what an earlier run left must not pass for this one's
            cell.outputs, cell.execution_count = [], None
    error, started, times = None, time.perf_counter(), {}

    def begun(cell, cell_index):
        times[cell.id] = -time.perf_counter()

    def done(cell, cell_index, execute_reply):
        times[cell.id] += time.perf_counter()
        tick()

    client = NotebookClient(
        notebook,
        timeout=CELL_LIMIT,
        kernel_name="python3",
        extra_arguments=["--log-level=ERROR"],  # else each kernel warns of what it always does
        resources={"metadata": {"path": str(path.parent)}},
        record_timing=False,
        coalesce_streams=True,  # else chance decides where printed text is cut into pieces
        on_cell_execute=begun,  # not _start, which text has too, and no end
        on_cell_executed=done,
    )
    try:
        await client.async_execute(env=env)
    except Exception as failure:  # a cell's, a time-out's, or a kernel's that did not start
        last = (str(failure).strip() or repr(failure)).splitlines()[-1]
        error = re.sub(r"\x1b\[[0-9;]*m", "", last)  # the kernel's words, without their colours
    return Execution(path, notebook, time.perf_counter() - started, error, times)


def execute_section(path: Path, heading: str) -> Execution:
    """Execute one section of a notebook, after the cells that it needs and no others."""
    (result,) = execute_all({path: alone(read(path), heading)})
    return result


def run(arguments: list[str]) -> int:
    """Execute copies of notebooks, write them and their pages to build/, print the table.

    With arguments, "NAME=value", only notebooks that have one of these parameters are executed.
    What comes out is then named after the value, so that it replaces nothing of a whole run.
    """
    import nbformat

    books = {path: read(path) for path in NOTEBOOKS}
    has = {path: parameters(book) for path, book in books.items()}
    try:
        values = given(arguments, set().union(*has.values()))
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    if values:
        books = {path: book for path, book in books.items() if values.keys() & has[path].keys()}
        where = " and ".join(path.parent.name for path in books)
        print(f"Executing {where} only: no other notebook has {' or '.join(values)}.")
    for book in books.values():
        inject(book, values)
    # The longest first, or the other core is idle at the end; the table has them in their order.
    longest_first = sorted(books.items(), key=lambda item: item[0].parent.name != "classification")
    results = sorted(execute_all(dict(longest_first)), key=lambda r: NOTEBOOKS.index(r.path))
    rows = []
    for result in results:
        name = result.path.relative_to(ROOT)
        if values:
            own = {key: values[key] for key in has[result.path] if key in values}
            name = name.with_stem(f"{name.stem}-{suffix(own)}")
        page = name.with_suffix(".html")
        write(BUILD / name, nbformat.writes(result.notebook) + "\n")
        write(BUILD / page, to_html(result.notebook, name.stem))
        table = evidence(result.notebook) or {"data": "–", "rows": []}
        verdicts = [row["passed"] for row in table["rows"] if row["passed"] is not None]
        passed = f"{sum(verdicts)} of {len(verdicts)}" + (" FAILED" if result.failures else "")
        linked = (name.as_posix(), page.as_posix())
        rows.append((linked, table["data"], f"{result.seconds:.1f}", passed))
    print(f"\n{render(HEAD, [(name, *rest) for (name, _), *rest in rows], 'text', 'llrl')}\n")
    pages = [BUILD / page for (_, page), *_ in rows]
    if not values:
        pages = [BUILD / "index.html"]
        write(pages[0], index_page(render(HEAD, rows, "html", "llrl")))
    for result in results if values else ():
        print(*result.results, sep="\n", end="\n" * bool(result.results))
    for page in pages:
        print(f"Page: {page.as_uri()}")
    for result in results:
        for failure in (in_readers_words(failure, values) for failure in result.failures):
            print(f"FAILED {result.path.relative_to(ROOT).as_posix()}: {failure}", file=sys.stderr)
    return int(any(result.failures for result in results))


if __name__ == "__main__":
    survive_any_console()
    match sys.argv[1:]:
        case ["run", *words]:
            sys.exit(run(words))
    print(__doc__, file=sys.stderr)
    sys.exit(2)
