"""Measure what the recommender notebook says about many seeds, with its own functions.

usage: python -m tools.spread           measures all, some minutes, and writes spread.json beside it
       python -m tools.spread NAME...   measures these again and keeps the rest
"""

import ast
import contextlib
import io
import json
import sys

import numpy as np

from tools.notebooks import code_cells, load, source
from tools.project import NOTEBOOKS, write

(NOTEBOOK,) = (path for path in NOTEBOOKS if path.parent.name == "recommender-system")
STORED = NOTEBOOK.with_name("spread.json")
SEEDS = range(100, 120)


def binds(statement: ast.stmt) -> set[str]:
    """Return the names that a statement binds, or of which it sets a part."""
    if isinstance(statement, ast.FunctionDef | ast.ClassDef):
        return {statement.name}
    found = set()
    for node in ast.walk(statement):
        if isinstance(node, ast.Import | ast.ImportFrom):
            found |= {(name.asname or name.name).partition(".")[0] for name in node.names}
        elif isinstance(getattr(node, "ctx", None), ast.Store):
            while not isinstance(node, ast.Name | ast.Tuple | ast.List | ast.Starred):
                node = node.value
            found |= {node.id} if isinstance(node, ast.Name) else set()
    return found - of_loops_inside(statement)


def of_loops_inside(statement: ast.stmt) -> set[str]:
    """Return the names that exist only within comprehensions."""
    loops = [node.target for node in ast.walk(statement) if isinstance(node, ast.comprehension)]
    return {node.id for loop in loops for node in ast.walk(loop) if isinstance(node, ast.Name)}


def reads(statement: ast.stmt) -> set[str]:
    """Return the names that a statement reads from outside of itself."""
    names, own = [n for n in ast.walk(statement) if isinstance(n, ast.Name)], set()
    if isinstance(statement, ast.FunctionDef):
        own = {node.id for node in names if isinstance(node.ctx, ast.Store)}
        own |= {node.arg for node in ast.walk(statement) if isinstance(node, ast.arg)}
    return {node.id for node in names} - own - of_loops_inside(statement)


def within(found: set[str], k: int) -> set[str]:
    """Return the names with those that begin with `_` made the k-th cell's own."""
    return {f"{name} of {k}" if name.startswith("_") else name for name in found}


def functions(*wanted: str) -> dict:
    """Execute the statements of the notebook that these functions need, and return its names."""
    cells = code_cells(load(NOTEBOOK))[1:]
    body = [(k, part) for k, cell in enumerate(cells) for part in ast.parse(source(cell)).body]
    needed, before = {*wanted}, None
    while needed != before:  # a function may call one that is defined below it
        before = {*needed}
        for k, part in body:
            needed |= within(reads(part), k) if within(binds(part), k) & needed else set()
    chosen = [part for k, part in body if within(binds(part), k) & needed]
    names = {"__name__": "page"}
    sys.modules["page"] = sys.modules[__name__]  # where dataclasses look up their module
    with contextlib.redirect_stdout(io.StringIO()):
        exec(compile(ast.Module(chosen, []), "page", "exec"), names)
    return names


def many(name: str, *before, seeds=SEEDS) -> list:
    """Return what a function gives for each seed, its last argument."""
    names = functions(name)
    return [names[name](*before, seed) for seed in seeds]


def film_folds() -> list[dict]:
    """Return the RMSE in five folds of each baseline and of the setting mostly chosen."""
    names = functions("film_folds")
    middle = names["film_settings"][len(names["film_settings"]) // 2]
    return [names["film_folds"](seed, [middle])[0] for seed in SEEDS]


PLANS = {
    **{name: lambda name=name: many(name) for name in ("easy", "disagreement", "surplus", "large")},
    **{name: lambda name=name: many(name) for name in ("cold", "excess", "traits_found")},
    "unseen_truth": lambda: many("unseen_truth"),
    "small": lambda: many("small", seeds=range(110)),
    "small_default": lambda: many("small_default", seeds=range(110)),
    "small oracle": lambda: float(np.mean(many("small_oracle", seeds=range(110)))),
    "angles": lambda: {f"{share:g}": many("angles", share) for share in (0.02, 0.03, 0.05, 0.1)},
    "served": lambda: {f"{quality:g}": many("served", quality) for quality in (0.0, 0.3, 0.7)},
    "film_folds": film_folds,
    "lists": lambda: {str(by_time): many("lists", by_time) for by_time in (False, True)},
}


def main(*chosen: str) -> None:
    """Measure the entries named, or all, and write the file after each."""
    if unknown := {*chosen} - {*PLANS}:
        raise SystemExit(f"NAME: expected one of {', '.join(PLANS)}, got {', '.join(unknown)}")
    for name in chosen or PLANS:
        text = json.dumps({name: PLANS[name]()})
        found = json.loads(text, parse_float=lambda digits: float(f"{float(digits):.6g}"))
        stored = json.loads(STORED.read_text(encoding="utf-8")) if STORED.exists() else {}
        write(STORED, json.dumps(stored | found, separators=(",", ":"), sort_keys=True) + "\n")
        print(name, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
