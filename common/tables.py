"""The one place where a table is rendered: as aligned text, as HTML, or as Markdown."""

import html

SIGNS = {"l": "<", "r": ">", "c": "^"}  # what each letter of `align` is in a text's format,
RULES = {"l": "---", "r": "--:", "c": ":-:"}  # in Markdown's second line, and in HTML's style
STYLES = {"l": "left", "r": "right;white-space:nowrap", "c": "center;white-space:nowrap"}
LINKS = {"text": "{0}", "html": '<a href="{1}">{0}</a>', "markdown": "[{0}]({1})"}


def render(head, rows, kind: str, align: str = "") -> str:
    """Return a table as one string, without a line break at its end.

    Parameters
    ----------
    head : sequence of str
        The title of each column.
    rows : iterable of sequences
        A cell for each column, shown as ``str(cell)``; a pair ``(text, address)`` is a link.
        Line breaks and runs of spaces within a cell become one space.
    kind : {"text", "html", "markdown"}
        HTML is escaped. In Markdown only the pipes are, so that ``*emphasis*`` still works.
    align : str
        A letter for each column, "l", "r" or "c"; columns beyond its end are left-aligned.

    Raises
    ------
    ValueError
        If `kind` is none of the three, or a row has more or fewer cells than `head`.
    """
    if kind not in LINKS:
        raise ValueError(f"kind: expected one of {', '.join(LINKS)}, got {kind!r}")
    table = [[_cell(cell, kind) for cell in row] for row in (head, *rows)]
    align = align.ljust(len(head), "l")
    if any(len(row) != len(head) for row in table):
        raise ValueError(f"rows: expected {len(head)} cells in each, got {[*map(len, table[1:])]}")
    if kind == "markdown":
        table.insert(1, [RULES[a] for a in align])
        return "\n".join(f"| {' | '.join(row)} |" for row in table)
    if kind == "text":
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        table.insert(1, ["-" * width for width in widths])
        form = "  ".join(f"{{:{SIGNS[a]}{w}}}" for a, w in zip(align, widths, strict=True))
        return "\n".join(form.format(*row).rstrip() for row in table)
    form = "".join(f'<td style="text-align:{STYLES[a]}">{{}}</td>' for a in align)
    titles = form.replace("<td", '<th scope="col"').replace("/td>", "/th>").format(*table[0])
    body = "".join(f"<tr>{form.format(*row)}</tr>" for row in table[1:])
    return f"<table><thead><tr>{titles}</tr></thead><tbody>{body}</tbody></table>"


def _cell(cell, kind: str) -> str:
    text, address = cell if isinstance(cell, tuple) else (cell, "")
    text = " ".join(str(text).split())
    if kind == "html":
        text, address = html.escape(text), html.escape(address)
    text = text.replace("|", r"\|") if kind == "markdown" else text
    return LINKS[kind].format(text, address) if address else text
