"""Measure what the recommender notebook says about many seeds, with its own functions.

usage: python -m tools.spread           measures all, some minutes, and writes spread.json beside it
       python -m tools.spread NAME...   measures these again and keeps the rest
"""

import ast
import contextlib
import io
import json
import sys

import matplotlib as mpl
import numpy as np

from tools.notebooks import load, source, tags
from tools.project import NOTEBOOKS, write

(NOTEBOOK,) = (path for path in NOTEBOOKS if path.parent.name == "recommender-system")
STORED = NOTEBOOK.with_name("spread.json")
SEEDS = range(100, 120)
PICTURE = ("show(fig", "play(fig", "evidence.show(")


def page() -> dict:
    """Execute the notebook's cells, but for its pictures and *Yours*, and return its names."""
    mpl.use("agg")
    names, yours = {"__name__": "page"}, False
    for cell in load(NOTEBOOK)["cells"]:
        yours = {"yours"} <= {*tags(cell)} or (yours and "craft" not in tags(cell))
        code = source(cell) if cell["cell_type"] == "code" else ""
        if any(part in code for part in PICTURE):
            code = "\n\n".join(definitions(code))
        if not yours or "algorithm" in tags(cell):
            silent = contextlib.redirect_stdout(io.StringIO())
            with silent, contextlib.suppress(KeyError, NameError):  # of what was not measured yet
                exec(compile(code, cell["id"], "exec"), names)
            names["spread"] = {}
    return names


def definitions(code: str) -> list[str]:
    """Return the functions that some code defines, and nothing else of it."""
    body = ast.parse(code).body
    return [ast.unparse(part) for part in body if isinstance(part, ast.FunctionDef)]


def plans(names: dict) -> dict:
    """Return for each entry of the file a function without arguments that measures it."""

    def many(name, seeds=SEEDS, *before):
        return lambda: [names[name](*before, seed) for seed in seeds]

    def several(name, values, seeds=SEEDS):
        return lambda: {f"{v:g}": many(name, seeds, v)() for v in values}

    return {
        **{name: many(name) for name in ("easy", "disagreement", "surplus", "large", "excess")},
        **{name: many(name) for name in ("cold", "traits_found", "unseen_truth")},
        "small": many("small", range(110)),
        "small oracle": lambda: float(np.mean([names["small_oracle"](s) for s in range(110)])),
        "angles": several("angles", (0.02, 0.03, 0.05, 0.1, 0.2)),
        "served": several("served", (0.0, 0.3, 0.7)),
        "film_folds": lambda: [names["film_folds"](seed)[0] for seed in SEEDS],
        "lists": lambda: {str(t): many("lists", SEEDS, t)() for t in (False, True)},
    }


def main(*chosen: str) -> None:
    """Measure the entries named, or all, and write the file after each."""
    if not STORED.exists():
        write(STORED, "{}\n")
    todo = plans(page())
    if unknown := {*chosen} - {*todo}:
        raise SystemExit(f"NAME: expected one of {', '.join(todo)}, got {', '.join(unknown)}")
    for name in chosen or todo:
        found = {name: todo[name]()}
        print(name, flush=True)
        found = json.loads(json.dumps(found), parse_float=lambda text: float(f"{float(text):.6g}"))
        stored = json.loads(STORED.read_text(encoding="utf-8")) | found
        write(STORED, json.dumps(stored, separators=(",", ":"), sort_keys=True) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
