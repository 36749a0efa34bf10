"""The tables of what there is to read: the README's of notebooks, and a notebook's of its parts.

usage: python -m tools.readme    renews the table; `make refresh` does so too
"""

import re
from pathlib import Path

from common.tables import render
from tools.notebooks import code_cells, load, source, tags
from tools.project import ADDRESS, NOTEBOOKS, ROOT, write

WORDS, LINES = 200, 10  # that a newcomer reads in a minute; a line of code holds more than a word
# Its title, and what a reader will see; a fifth notebook needs a fifth line.
SEEN = {
    "regression": (
        "Linear against ridge regression",
        "Least squares and ridge from one factorisation; when ridge helps, by how much, and why, "
        "each against its exact value; then both on your own table",
    ),
    "classification": (
        "Ones against sevens",
        "Logistic regression, a linear SVM, a feed-forward network and a CNN on MNIST: losses, "
        "gradients and the training loop written out, the test part touched once",
    ),
    "clustering": (
        "Segmenting an image",
        "K-means and K-medoids on the colours of a photo, yours if you like: starts, convergence, "
        "optimality, outliers, compression",
    ),
    "recommender-system": (
        "Matrix factorisation",
        "Stochastic gradient descent for recommendations, vectorised without changing a single "
        "update, measured against a known truth, then on real films",
    ),
}


def between(text: str, name: str, new: str) -> str:
    """Return `text` with `new` in place of what stands between the marks `name`.

    Raises
    ------
    ValueError
        If the text does not hold the two marks, once each and in order.
    """
    start, end = f"<!-- {name}:start -->", f"<!-- {name}:end -->"
    before, *rest = text.split(start)
    parts = rest[0].split(end) if len(rest) == 1 else []
    if len(parts) != 2 or end in before:
        raise ValueError(f"text: expected the marks {start} and {end} once, in this order")
    return f"{before}{start}\n{new.strip()}\n{end}{parts[1]}"


def minutes(notebook: dict) -> int:
    """Return how long a newcomer reads the main path, to five minutes.

    The main path ends before the first cell tagged `yours` or `craft`. Its words count, and its
    lines of code that are not folded; what stands in ``<details>`` does not.
    """
    return to_read(parts(notebook)[0][1])


def to_read(cells: list[dict]) -> int:
    """Return the minutes that these cells take, by the same clock."""
    words = lines = 0
    for cell in cells:
        text = source(cell)
        if cell["cell_type"] == "markdown":
            words += len(re.sub(r"<details>.*?</details>", "", text, flags=re.DOTALL).split())
        elif not cell["metadata"].get("jupyter", {}).get("source_hidden"):
            lines += sum(bool(line.strip()) for line in text.splitlines())
    return max(5, 5 * round((words / WORDS + lines / LINES) / 5))


def parts(notebook: dict) -> list[tuple[str, list[dict]]]:
    """Return a notebook's parts, each with its title and its cells; the main path is the first.

    The others begin at the headings tagged `yours` and `craft`, and at the heading "Evidence".
    """
    found = [("Main path", [])]
    for cell in notebook["cells"]:
        text = source(cell) if cell["cell_type"] == "markdown" else ""
        heading = re.search(r"^#+ (.+)$", text, re.MULTILINE)
        if heading and ({"yours", "craft"} & set(tags(cell)) or heading[1] == "Evidence"):
            found.append((heading[1], []))
        found[-1][1].append(cell)
    return found


def contents(notebook: dict) -> str:
    """Return the table of a notebook's parts, Markdown, with the seconds of the last refresh."""
    seconds = [f"{s} s" for s in notebook["metadata"].get("parts", [])]
    found = parts(notebook)
    seconds += [""] * (len(found) - len(seconds))
    rows = [
        [title, f"{to_read(cells)} min", time]
        for (title, cells), time in zip(found, seconds, strict=True)
    ]
    return render(["part", "to read", "to run"], rows, "markdown")


def release(notebook: dict) -> str:
    """Return what a notebook says it belongs to: a release's tag, or the branch `main`."""
    text = "\n".join(map(source, code_cells(notebook)))
    found = re.search(r'^RELEASE = "(.+?)"', text, re.MULTILINE)
    return found[1] if found else "main"


def table(books: dict[Path, dict]) -> str:
    """Return the table of notebooks, Markdown, from their paths and what is in them."""
    owner, rows = ADDRESS.removeprefix("https://github.com/"), []
    for path, book in books.items():
        name, folder = path.relative_to(ROOT).as_posix(), path.parent.name
        if folder not in SEEN:
            raise ValueError(f"SEEN: expected a line for the notebook in {folder}, got none")
        title, seen = SEEN[folder]
        alt = f"Preview of the {folder} notebook"
        seconds, ref = book["metadata"].get("seconds"), release(book)
        opened = {
            "Colab": f"https://colab.research.google.com/github/{owner}/blob/{ref}/{name}",
            "Binder": f"https://mybinder.org/v2/gh/{owner}/{ref}?urlpath=lab/tree/{name}",
            "nbviewer": f"https://nbviewer.org/github/{owner}/blob/{ref}/{name}",
        }
        rows.append(
            [
                f'[{title}]({name})<br><a href="{name}"><img src="{folder}/preview.png" '
                f'alt="{alt}" width="320"></a>',
                seen,
                f"{minutes(book)} min",
                "" if seconds is None else f"{seconds} s",
                " · ".join(f"[{where}]({link})" for where, link in opened.items()),
            ]
        )
    return render(["notebook", "what you'll see", "to read", "to run", "open in"], rows, "markdown")


def renew() -> None:
    """Write the table into the README."""
    file = ROOT / "README.md"
    text = file.read_text(encoding="utf-8")
    books = {path: load(path) for path in NOTEBOOKS}
    write(file, between(text, "notebooks", table(books)))


if __name__ == "__main__":
    renew()
