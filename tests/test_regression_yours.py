"""*Yours* of the regression notebook: Longley's certified answer, and whatever tables people have."""

import csv
from fractions import Fraction

import numpy as np
import pytest
from regression_cases import nb

from tools.notebooks import code_cells, load, source
from tools.project import ROOT

LONGLEY = ROOT / "regression" / "data" / "longley.csv"
# NIST's, as StRD prints them: the intercept, then the weights in the order of the file.
CERTIFIED = [
    "-3482258.63459582",
    "15.0618722713733",
    "-0.358191792925910E-01",
    "-2.02022980381683",
    "-1.03322686717359",
    "-0.511041056535807E-01",
    "1829.15146461355",
]


def exact_least_squares(rows, y):
    """Solve the normal equations in fractions, where nothing is ever rounded."""
    X = [[Fraction(1), *map(Fraction, row)] for row in rows]
    y, d = [*map(Fraction, y)], len(X[0])
    A = [[sum(r[i] * r[j] for r in X) for j in range(d)] for i in range(d)]
    for i in range(d):
        A[i].append(sum(r[i] * t for r, t in zip(X, y, strict=True)))
    for i in range(d):
        A[i] = [a / A[i][i] for a in A[i]]
        for j in range(d):
            if j != i:
                A[j] = [a - A[j][i] * b for a, b in zip(A[j], A[i], strict=True)]
    return [row[-1] for row in A]


def test_longley_s_data_have_exactly_the_certified_weights():
    with LONGLEY.open(encoding="utf-8", newline="") as file:
        _, *rows = csv.reader(file)
    assert (len(rows), len(rows[0])) == (16, 7)
    exact = exact_least_squares([row[:-1] for row in rows], [row[-1] for row in rows])
    for found, certified in zip(exact, CERTIFIED, strict=True):
        digits = len(
            certified.lower().partition("e")[0].replace("-0.", "").replace(".", "").strip("-")
        )
        assert digits == 15
        assert abs(found / Fraction(certified) - 1) < Fraction(1, 10**14)
    (cell,) = (source(c) for c in code_cells(load(notebook_path())) if "CERTIFIED =" in source(c))
    space = {"np": np}
    exec(cell, space)
    assert space["CERTIFIED"] == [float(value) for value in CERTIFIED]


def notebook_path():
    return ROOT / "regression" / "linear_vs_ridge.ipynb"
