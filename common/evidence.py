"""The evidence table: what a notebook claims, what it measured, and whether that holds."""

import math
from typing import NamedTuple

from IPython.display import display

from common.tables import render

MARKS = {True: "✓", False: "✗", None: "–"}


class Row(NamedTuple):
    """One claim held against a bound; shown on its own it says whether the claim holds."""

    claim: str
    kind: str  # "truth" or "finding"
    measured: str  # as it is shown: the notebook's JSON, which stores it, has no NaN
    bound: str
    passed: bool | None  # None, no verdict, for a finding on the reader's own data

    def __repr__(self) -> str:
        """Show no number of a row that passes: rounding errors differ between machines."""
        if self.passed:
            return f"✓ {self.claim}"
        rule = "on the built-in data" if self.passed is None else "must be"
        return f"{MARKS[self.passed]} {self.claim}: measured {self.measured}, {rule} {self.bound}"


class Evidence:
    """The rows of one notebook.

    Parameters
    ----------
    data : str
        What the notebook ran on, in a few words; `make run` prints it.
    own : bool
        Whether that is the reader's own data, on which findings get no verdict.
    """

    def __init__(self, data: str, own: bool = False):
        self.data, self.own, self.rows = data, own, []

    def truth(self, claim, measured, at_most=None, *, at_least=None, kind="truth") -> Row:
        """Record what must hold for any input, and return the row; a failure is a bug.

        Parameters
        ----------
        claim : str
            What is claimed. A cell that is run again replaces the row of the same claim.
        measured : float or bool
            What was found; NaN and infinity never pass.
        at_most, at_least : float, optional
            The bounds, included. Without any `measured` must be true.
        kind : {"truth", "finding"}
            `finding` sets it.
        """
        x, limits = float(measured), {"≤": at_most, "≥": at_least}
        limits = {sign: float(limit) for sign, limit in limits.items() if limit is not None}
        passed = limits.get("≥", x) <= x <= limits.get("≤", x) if limits else x == 1
        passed = passed and math.isfinite(x)
        shown = f"{x:.{4 if passed else 10}g}" if limits else "yes" if x == 1 else "no"
        bound = ", ".join(f"{sign} {limit:g}" for sign, limit in limits.items()) or "yes"
        row = Row(claim, kind, shown, bound, passed if kind == "truth" or not self.own else None)
        self.rows = [r for r in self.rows if r.claim != claim] + [row]
        return row

    def finding(self, claim, measured, at_most=None, *, at_least=None) -> Row:
        """Record what was seen on the built-in data; as `truth`, but without verdict if `own`."""
        return self.truth(claim, measured, at_most, at_least=at_least, kind="finding")

    at_most = holds = truth  # names for a truth with an upper bound, and for one without a bound

    def show(self) -> None:
        """Show all rows as a table.

        The rows are also stored in the output's metadata, where `make run` reads them.

        Raises
        ------
        AssertionError
            If a row failed or there is no row at all; the table is shown before.
        """
        head = ("claim", "kind", "measured", "bound", "pass")
        cells = [(*row[:4], MARKS[row.passed]) for row in self.rows]
        text, page = (render(head, cells, kind, "llrrc") for kind in ("text", "html"))
        stored = {"data": self.data, "rows": [row._asdict() for row in self.rows]}
        display({"text/plain": text, "text/html": page}, metadata={"evidence": stored}, raw=True)
        failed = [repr(row) for row in self.rows if row.passed is False]
        if failed or not self.rows:
            raise AssertionError("\n".join(failed) or "the evidence table has no rows")
