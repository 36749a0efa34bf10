"""The four notebooks as files: read their algorithms, execute them all, refresh their outputs.

usage: notebooks.py run        execute copies under build/, with HTML pages and a table
       notebooks.py refresh    execute in place; a refresh without a change changes no byte
"""

import asyncio
import base64
import hashlib
import html
import json
import os
import re
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

ROOT = Path(__file__).resolve().parents[1]
BUILD = ROOT / "build"
NOTEBOOKS = [
    ROOT / "regression" / "linear_vs_ridge.ipynb",
    ROOT / "classification" / "mnist_classifiers_logreg_svm_nn_cnn.ipynb",
    ROOT / "clustering" / "image_segmentation_kmeans_kmedoids.ipynb",
    ROOT / "recommender-system" / "matrix_factorization.ipynb",
]
CELL_LIMIT = 600  # seconds after which a cell counts as hung
HEADER = ("notebook", "data used", "seconds", "evidence rows passed")  # the table of `make run`
KERNELSPEC = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}


def algorithms(name: str) -> SimpleNamespace:
    """Execute the cells tagged `algorithm` of the notebook in folder `name`, and nothing else."""
    (path,) = (path for path in NOTEBOOKS if path.parent.name == name)
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    module = SimpleNamespace(__name__=path.stem)
    sys.modules[path.stem] = module  # where dataclasses look up the module of a class
    for i, cell in enumerate(cells):
        if "algorithm" in cell["metadata"].get("tags", []):
            exec(compile("".join(cell["source"]), f"{path.name}[{i}]", "exec"), vars(module))
    return module


def evidence(notebook: dict) -> dict | None:
    """Return the evidence ("data" and "rows") in an executed notebook, None where there is none."""
    found = None
    for cell in notebook["cells"]:
        for output in cell.get("outputs", []):
            found = output.get("metadata", {}).get("evidence", found)
    return found


def preview(notebook: dict) -> bytes:
    """Return the PNG drawn by the cell tagged `preview`, which stands for the notebook."""
    (cell,) = (c for c in notebook["cells"] if "preview" in c["metadata"].get("tags", []))
    (picture,) = (o for o in cell["outputs"] if "image/png" in o.get("data", {}))
    return base64.b64decode(picture["data"]["image/png"])


def fingerprint(notebook: dict) -> str:
    """Digest of all that decides on a notebook's outputs: its code, common/ and the versions."""
    parts = ["".join(c["source"]) for c in notebook["cells"] if c["cell_type"] == "code"]
    files = [*sorted((ROOT / "common").glob("*.py")), ROOT / "requirements.txt"]
    parts += [file.read_text(encoding="utf-8") for file in files]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


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


def read(path: Path):
    """Read a notebook as nbformat's NotebookNode."""
    import nbformat

    return nbformat.read(path, as_version=4)


def write(path: Path, content: str | bytes) -> None:
    """Write a file whole or not at all; text as UTF-8 with Unix line ends."""
    if isinstance(content, str):
        content = content.encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.new")
    new.write_bytes(content)
    os.replace(new, path)


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


def to_html(notebook, title: str) -> str:
    """Return one page that needs no other file and no network; equations become MathML."""
    from jinja2 import pass_context
    from latex2mathml.converter import convert
    from nbconvert import HTMLExporter
    from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

    class Renderer(IPythonRenderer):
        def inline_math(self, body):
            return convert(body)

        def block_math(self, body):
            return convert(body, display="block")

        multiline_math = block_math

        def latex_environment(self, name, body):
            return self.block_math(rf"\begin{{{name}}}{body}\end{{{name}}}")

    class Exporter(HTMLExporter):
        @pass_context
        def markdown2html(self, context, source):
            return MarkdownWithMath(renderer=Renderer(escape=False)).render(source)

    # The standard page loads these scripts from the network.
    scripts = ["html_head_js", "jupyter_widgets", "html_head_js_mathjax", "html_head_js_mermaidjs"]
    # And it knows no text alternative of a picture.
    picture = """<div class="jp-RenderedImage jp-OutputArea-output"><img
        alt="{{ output | get_metadata('alt', 'image/png') | escape_html }}"
        src="data:image/png;base64,{{ output.data['image/png'] }}"></div>"""
    blocks = dict.fromkeys(scripts, "") | {"data_png scoped": picture}
    template = "{% extends 'lab/index.html.j2' %}" + "".join(
        f"{{% block {name} %}}{text}{{% endblock %}}" for name, text in blocks.items()
    )
    exporter = Exporter(raw_template=template)
    page, _ = exporter.from_notebook_node(notebook, {"metadata": {"name": title}})
    return page


def index_page(rows: list[tuple[str, str, str, str]]) -> str:
    """Return the page that links to the four others."""
    body = "".join(
        f'<tr><td><a href="{html.escape(Path(name).with_suffix(".html").as_posix())}">'
        f"{html.escape(name)}</a></td>"
        + "".join(f"<td>{html.escape(cell)}</td>" for cell in row)
        + "</tr>"
        for name, *row in rows
    )
    head = "".join(f"<th>{title}</th>" for title in HEADER)
    return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Machine Learning Algorithms from Scratch</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto }}
table {{ border-collapse: collapse }}
td, th {{ text-align: left; padding: .4rem 1.2rem .4rem 0; border-bottom: 1px solid #ddd }}
</style></head>
<body><h1>Machine Learning Algorithms from Scratch</h1>
<table><thead><tr>{head}</tr></thead>
<tbody>{body}</tbody></table></body></html>
"""


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
