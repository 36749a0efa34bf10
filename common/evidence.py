"""The evidence table: what a notebook claims, what it measured, and whether that holds."""

from dataclasses import asdict, dataclass, field

from IPython.display import display

from common.tables import render

KEY = "evidence"  # under this key the rows lie in the metadata of the table's output
MARKS = {True: "✓", False: "✗", None: "–"}


@dataclass(frozen=True)
class Row:
    """One claim held against a bound; shown on its own it says whether the claim holds."""

    claim: str
    kind: str  # "truth" or "finding"
    measured: str  # as it is shown: JSON, which stores it, has no NaN
    bound: str
    passed: bool | None  # None, no verdict, for a finding on the reader's own data

    def __repr__(self) -> str:
        # A row that passes shows no number: rounding errors differ between machines.
        if self.passed:
            return f"✓ {self.claim}"
        rule = "on the built-in data" if self.passed is None else "must be"
        return f"{MARKS[self.passed]} {self.claim}: measured {self.measured}, {rule} {self.bound}"


@dataclass
class Evidence:
    """The rows of one notebook.

    Parameters
    ----------
    data : str
        What the notebook ran on, in a few words; `make run` prints it.
    own : bool
        Whether that is the reader's own data, on which findings get no verdict.
    """

    data: str
    own: bool = False
    rows: list[Row] = field(default_factory=list)

    def truth(self, claim: str, measured, at_most=None, *, at_least=None) -> Row:
        """Record what must hold for any input, and return the row: a failure is a bug.

        Parameters
        ----------
        claim : str
            What is claimed. A cell that is run again replaces the row of the same claim.
        measured : float or bool
            What was found; NaN never passes.
        at_most, at_least : float, optional
            The bound, which one of them gives. Without a bound `measured` must be true.
        """
        return self._add("truth", claim, measured, at_most, at_least)

    def finding(self, claim: str, measured, at_most=None, *, at_least=None) -> Row:
        """Record what was seen on the built-in data; as `truth`, but without verdict if `own`."""
        return self._add("finding", claim, measured, at_most, at_least)

    at_most = holds = truth  # names for a truth with an upper bound, and for one without a bound

    def at_least(self, claim: str, measured, bound: float) -> Row:
        """Record a truth with a lower bound."""
        return self.truth(claim, measured, at_least=bound)

    def _add(self, kind: str, claim: str, measured, at_most, at_least) -> Row:
        if at_most is not None and at_least is not None:
            raise ValueError(f"at_most: expected one bound, got {at_most} and {at_least}")
        x = float(measured)
        shown, bound, passed = "yes" if x == 1 else "no", "yes", x == 1
        if at_most is not None:
            shown, bound, passed = f"{x:.4g}", f"≤ {at_most:g}", x <= float(at_most)
        if at_least is not None:
            shown, bound, passed = f"{x:.4g}", f"≥ {at_least:g}", x >= float(at_least)
        judged = kind == "truth" or not self.own
        row = Row(claim, kind, shown, bound, passed if judged else None)
        self.rows = [r for r in self.rows if r.claim != claim] + [row]
        return row

    def show(self) -> None:
        """Show all rows as a table.

        The rows are also stored in the output's metadata, where `make run` reads them.

        Raises
        ------
        AssertionError
            If a row failed or there is no row at all; the table is shown before.
        """
        head = ("claim", "kind", "measured", "bound", "pass")
        cells = [(r.claim, r.kind, r.measured, r.bound, MARKS[r.passed]) for r in self.rows]
        kinds = {"text/plain": "text", "text/html": "html"}
        table = {mime: render(head, cells, kind, "llrrc") for mime, kind in kinds.items()}
        stored = {KEY: {"data": self.data, "rows": [asdict(r) for r in self.rows]}}
        display(table, metadata=stored, raw=True)
        if not self.rows:
            raise AssertionError("the evidence table has no rows")
        failed = [repr(r) for r in self.rows if r.passed is False]
        if failed:
            raise AssertionError("\n".join(failed))
