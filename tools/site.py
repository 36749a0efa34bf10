"""Build the website from the stored outputs; nothing is executed.

usage: python -m tools.site    writes build/site, from copies in build/site-source
"""

import base64
import html
import importlib.util
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

from tools.fold import title_of
from tools.notebooks import evidence, load, preview, source, tags
from tools.project import ADDRESS, BUILD, NOTEBOOKS, ROOT, survive_any_console
from tools.readme import release

SOURCE, SITE = BUILD / "site-source", BUILD / "site"
# What tex-chtml.js loads as it needs it, and where the package that carries MathJax keeps it.
MATHJAX = ["tex-chtml.js", "output/chtml/fonts", "input/tex/extensions", "a11y", "ui", "sre"]
REPORT = "benchmarks/report"


def mathjax() -> Path:
    """Return a folder that holds `mathjax/`, the parts of MathJax that the pages load."""
    package = importlib.util.find_spec("sphinx-mathjax-offline").origin
    shipped, folder = Path(package).parent / "static" / "mathjax", BUILD / "site-static"
    for name in MATHJAX:
        target = folder / "mathjax" / name
        if (shipped / name).is_dir():
            shutil.copytree(shipped / name, target, dirs_exist_ok=True)
        elif (shipped / name).exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(shipped / name, target)
    return folder


def with_titles(notebook: dict) -> dict:
    """Give pictures' text alternatives and folded cells' titles to where myst-nb looks for them."""
    for cell in notebook["cells"]:
        told = cell["metadata"].setdefault("mystnb", {})
        if title_of(cell):
            told["code_prompt_show"] = title_of(cell).replace("{", "{{").replace("}", "}}")
        pictures = [o for o in cell.get("outputs", []) if "image/png" in o.get("data", {})]
        if len(pictures) > 1:
            raise ValueError(f"one picture a cell, or one has no text alternative: {cell['id']}")
        for picture in pictures:
            alt = picture["metadata"]["image/png"]["alt"]
            told["image"] = {"alt": alt}
    return notebook


def with_files(notebook: dict, folder: Path) -> dict:
    """Write the pictures attached to the prose into a folder, where Sphinx looks for them."""
    for cell in notebook["cells"]:
        for name, data in cell.pop("attachments", {}).items():
            folder.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(base64.b64decode(data["image/png"]))
            cell["source"] = [line.replace(f"attachment:{name}", name) for line in cell["source"]]
    return notebook


def title(notebook: dict) -> str:
    """Return the text of the notebook's first heading."""
    return re.search(r"^# (.+)$", source(notebook["cells"][0]), re.MULTILINE).group(1)


def picture_links(books: dict[Path, dict]) -> str:
    """Return the landing page's pictures, each with its title, a link to its notebook."""
    cards = []
    for path, book in books.items():
        name = path.relative_to(ROOT)
        (shown,) = (c for c in book["cells"] if "preview" in tags(c))
        alt = shown["metadata"]["mystnb"]["image"]["alt"]
        cards.append(
            f'<a href="{name.with_suffix(".html").as_posix()}">'
            f'<img src="_static/{path.parent.name}.png" alt="{html.escape(alt)}">'
            f"<span>{html.escape(title(book))}</span></a>"
        )
    return '<div class="cards">\n' + "\n".join(cards) + "\n</div>"


def evidence_tables(books: dict[Path, dict]) -> str:
    """Return the evidence table of each notebook, as its last cell shows it."""
    parts = []
    for path, book in books.items():
        table = evidence(book)
        (shown,) = (
            "".join(o["data"]["text/html"])
            for cell in book["cells"]
            for o in cell.get("outputs", [])
            if "evidence" in o.get("metadata", {})
        )
        passed = sum(row["passed"] is True for row in table["rows"])
        link = path.relative_to(ROOT).with_suffix(".html").as_posix()
        parts.append(
            f"## {title(book)}\n\n"
            f"{passed} of {len(table['rows'])} hold; data: {table['data']}. "
            f'<a href="{link}">Open the notebook</a>.\n\n'
            # Without blank lines, so that Markdown takes the table for one block of HTML.
            f'<div class="wide" tabindex="0" role="region" aria-label="Evidence: '
            f'{html.escape(title(book))}">{shown}</div>\n'
        )
    return "\n".join(parts)


def links(text: str, ref: str) -> str:
    """Return a page of docs/ with links that lead to the same places from the site.

    On the site the pages lie at the top. What it has no page of the repository shows, at the
    release or branch `ref`.
    """
    pages = {path.relative_to(ROOT).as_posix() for path in NOTEBOOKS}

    def on_site(match: re.Match) -> str:
        name = match[1].partition("#")[0]
        kept = name in pages or (name.startswith(f"{REPORT}/") and name.endswith(".png"))
        return f"]({match[1]})" if kept else f"]({ADDRESS}/blob/{ref}/{match[1]})"

    return re.sub(r"\]\(\.\./([^)\s]+)\)", on_site, text)


def prepare() -> None:
    """Write what Sphinx reads: the notebooks, the pages with their tables, the pictures."""
    shutil.rmtree(SOURCE, ignore_errors=True)
    books = {path: with_titles(load(path)) for path in NOTEBOOKS}
    static = BUILD / "site-static"
    shutil.rmtree(static, ignore_errors=True)
    static.mkdir(parents=True)
    for path, book in books.items():
        copy = SOURCE / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True)
        copy.write_text(json.dumps(with_files(book, copy.parent)), encoding="utf-8")
        (static / f"{path.parent.name}.png").write_bytes(preview(book))
    if (ROOT / REPORT).is_dir():
        shutil.copytree(ROOT / REPORT, SOURCE / REPORT)
    ref = release(books[NOTEBOOKS[0]])
    generated = {
        "<!-- notebooks -->": picture_links(books),
        "<!-- contents -->": "\n".join(
            p.relative_to(ROOT).with_suffix("").as_posix() for p in NOTEBOOKS
        ),
        "<!-- evidence -->": evidence_tables(books),
    }
    for page in sorted((ROOT / "docs").glob("*.md")):
        text = links(page.read_text(encoding="utf-8"), ref)
        for mark, new in generated.items():
            text = text.replace(mark, new)
        (SOURCE / page.name).write_text(text, encoding="utf-8")


def main() -> int:
    """Prepare, and build with Sphinx; a warning is an error. Returns the exit status."""
    prepare()
    options = ["-b", "html", "-c", str(ROOT / "docs"), "-W", "--keep-going", "-q", "-E"]
    cache = ["-d", str(BUILD / "site-doctrees")]
    shutil.rmtree(SITE, ignore_errors=True)
    command = [sys.executable, "-m", "sphinx", *options, *cache, str(SOURCE), str(SITE)]
    status = subprocess.run(command, cwd=ROOT, check=False).returncode
    (SITE / ".nojekyll").touch()  # else GitHub Pages leaves out folders that begin with _
    if status == 0:
        print(f"Website: {(SITE / 'index.html').as_uri()}")
    return status


if __name__ == "__main__":
    survive_any_console()
    sys.exit(main())
