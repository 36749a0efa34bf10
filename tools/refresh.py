"""Execute the notebooks in place, and store what came out.

usage: python -m tools.refresh    without a change it changes no byte
"""

import base64
import sys
from pathlib import Path

from tools import readme
from tools.execute import execute_all
from tools.fingerprint import fingerprint
from tools.notebooks import evidence, preview, read
from tools.project import NOTEBOOKS, ROOT, survive_any_console, write

KERNELSPEC = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}


def refresh() -> int:
    """Execute the notebooks in place; write only those that run to their end."""
    import nbformat

    status = 0
    for result in execute_all({path: read(path) for path in NOTEBOOKS}):
        name = result.path.relative_to(ROOT).as_posix()
        failures = result.failures
        stored, new = read(result.path), result.notebook
        if not failures and "stroke" in evidence(new)["data"]:
            failures = ["the stored outputs come from real MNIST, which was not found"]
        if failures:
            status = 1
            print(f"FAILED {name}: left as it was: {'; '.join(failures)}", file=sys.stderr)
            continue
        normalise(new, stored, result.path.parent, result.seconds, result.times)
        picture = preview(new)
        for cell in new.cells:  # the opening shows it too
            if "preview.png" in cell.get("attachments", {}):
                cell.attachments["preview.png"] = {"image/png": base64.b64encode(picture).decode()}
        text = nbformat.writes(new) + "\n"
        unchanged = text.encode() == result.path.read_bytes()
        write(result.path, text)
        write(result.path.with_name("preview.png"), picture)
        print(f"{name}: {'unchanged' if unchanged else 'refreshed'}")
    readme.renew()  # whose table says how long each takes
    return status


def normalise(new, stored, folder: Path, seconds: float, times=None) -> None:
    """Remove from a freshly executed notebook what differs without a reason.

    Timings differ from run to run and pictures from machine to machine. As long as nothing changed
    that decides on them, the stored ones are as true as the new ones, and they are kept: `seconds`,
    which the whole took, too, and what each part took, from the `times` of the cells. The opening's
    table and its picture are renewed from there.
    """
    mark = fingerprint(new, folder)
    same = stored.metadata.get("fingerprint") == mark
    new.metadata = {
        "kernelspec": KERNELSPEC,
        "language_info": {"name": "python"},
        "fingerprint": mark,
        "seconds": stored.metadata.get("seconds") if same else None,
    }
    new.metadata["seconds"] = new.metadata["seconds"] or max(1, round(seconds))
    took = [sum((times or {}).get(cell.id, 0) for cell in cells) for _, cells in readme.parts(new)]
    kept = stored.metadata.get("parts") if same else None
    new.metadata["parts"] = kept or [max(1, round(part)) for part in took]
    for i, cell in enumerate(new.cells):
        if cell.cell_type != "code":
            if "<!-- parts:start -->" in cell.source:
                cell.source = readme.between(cell.source, "parts", readme.contents(new))
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
                for kind in output.get("data", {}).keys() & old.get("data", {}).keys():
                    moving = kind == "text/html" and "data:image/png" in old.data[kind]
                    if kind == "image/png" or moving:
                        output.data[kind] = old.data[kind]


if __name__ == "__main__":
    survive_any_console()
    sys.exit(refresh())
