"""The evidence table: what a notebook claims, what it measured, and whether that holds."""

import html
from dataclasses import asdict, dataclass, field

from IPython.display import display

KEY = "evidence"  # under this key the rows lie in the metadata of the table's output


@dataclass(frozen=True)
class Row:
    """One claim held against a bound; shown on its own it says whether the claim holds."""

    claim: str
    measured: float
    relation: str  # "≤", "≥", or "is" for what is true (1) or false (0)
    bound: float

    @property
    def passed(self) -> bool:
        """Whether the bound holds; a measured NaN never passes."""
        if self.relation == "≤":
            return self.measured <= self.bound
        if self.relation == "≥":
            return self.measured >= self.bound
        return self.measured == self.bound

    def __repr__(self) -> str:
        # A row that passes shows no number: rounding errors differ between machines.
        if self.passed:
            return f"✓ {self.claim}"
        return (
            f"✗ {self.claim}: measured {self.measured:.4g}, must be {self.relation} {self.bound:g}"
        )


@dataclass
class Evidence:
    """The rows of one notebook.

    Parameters
    ----------
    data : str
        What the notebook ran on, in a few words; `make run` prints it.
    """

    data: str
    rows: list[Row] = field(default_factory=list)

    def at_most(self, claim: str, measured: float, bound: float) -> Row:
        """Record that `measured` must not exceed `bound`, and return the row."""
        return self._add(claim, measured, "≤", bound)

    def at_least(self, claim: str, measured: float, bound: float) -> Row:
        """Record that `measured` must reach `bound`, and return the row."""
        return self._add(claim, measured, "≥", bound)

    def holds(self, claim: str, condition: bool) -> Row:
        """Record something that is true or false, and return the row (1 is true)."""
        return self._add(claim, float(condition), "is", 1)

    def _add(self, claim: str, measured: float, relation: str, bound: float) -> Row:
        row = Row(claim, float(measured), relation, float(bound))
        # A cell that is run again replaces its row instead of adding a second one.
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
        metadata = {
            KEY: {"data": self.data, "rows": [asdict(r) | {"passed": r.passed} for r in self.rows]}
        }
        display(
            {"text/plain": self._text(), "text/html": self._html()}, metadata=metadata, raw=True
        )
        if not self.rows:
            raise AssertionError("the evidence table has no rows")
        failed = [repr(r) for r in self.rows if not r.passed]
        if failed:
            raise AssertionError("\n".join(failed))

    def _cells(self) -> list[tuple[str, str, str, str]]:
        cells = []
        for r in self.rows:
            mark = "✓" if r.passed else "✗"
            if r.relation == "is":
                cells.append((r.claim, "yes" if r.passed else "no", "yes", mark))
            else:
                cells.append((r.claim, f"{r.measured:.3g}", f"{r.relation} {r.bound:g}", mark))
        return cells

    def _text(self) -> str:
        rows = [("claim", "measured", "bound", ""), *self._cells()]
        widths = [max(len(row[j]) for row in rows) for j in range(4)]
        return "\n".join(
            "  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in rows
        )

    def _html(self) -> str:
        align = ["left", "right", "right", "center"]
        styles = [f"text-align:{a};{'' if a == 'left' else 'white-space:nowrap'}" for a in align]
        head = "".join(
            f'<th scope="col" style="{style}">{title}</th>'
            for title, style in zip(["claim", "measured", "bound", "pass"], styles, strict=True)
        )
        rows = (
            "".join(
                f'<td style="{style}">{html.escape(text)}</td>'
                for text, style in zip(cells, styles, strict=True)
            )
            for cells in self._cells()
        )
        body = "".join(f"<tr>{row}</tr>" for row in rows)
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
