"""Ask every address that the pages and notebooks link to whether it is still there.

usage: python -m tools.links    needs the network; says what is dead, and where it is linked
"""

import re
import sys
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException
from pathlib import Path

from tools.notebooks import load, source
from tools.project import NOTEBOOKS, ROOT

TIMEOUT = 20  # seconds that a server may take
# What a server says to a program that it takes for a robot, while a person would see the page.
NO_ANSWER = {401, 403, 405, 429, 500, 502, 503, 504, 999}


def links(text: str) -> list[str]:
    """Return the addresses in a text, once each, without the marks of the sentence around them."""
    found = re.findall(r"https?://[^\s<>\"'`\\|{}]+", text)
    found = [link.rstrip(".,;:*") for link in found]
    # A bracket belongs to the address only if it was opened there: .../Median_(geometry)
    found = [re.sub(r"[)\]].*$", "", link) if link.count("(") == 0 else link for link in found]
    return list(dict.fromkeys(link.split("#")[0] for link in found))


def addresses() -> dict[str, list[str]]:
    """Return all addresses of the pages, the notebooks and common/, with the files they are in."""
    texts = {path: path.read_text(encoding="utf-8") for path in pages()}
    for path in NOTEBOOKS:
        texts[path] = "\n".join(source(cell) for cell in load(path)["cells"])
    where: dict[str, list[str]] = {}
    for path, text in texts.items():
        for link in links(text):
            where.setdefault(link, []).append(path.relative_to(ROOT).as_posix())
    return where


def pages() -> list[Path]:
    """Return the project's texts that a reader may follow a link from."""
    return [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("common/*.py")]


def answer(link: str) -> str | None:
    """Return what is wrong with an address; None if it is there, or if a server refuses to say."""
    try:
        request = urllib.request.Request(link, headers={"User-Agent": "Mozilla/5.0 (link check)"})
        with urllib.request.urlopen(request, timeout=TIMEOUT):
            return None
    except urllib.error.HTTPError as error:
        return None if error.code in NO_ANSWER else f"{error.code} {error.reason}"
    except (OSError, ValueError, HTTPException) as error:  # no host, no connection, no address
        return f"{type(error).__name__}: {error}"


def main() -> int:
    """Ask all, print those that are dead with the files they are in, and return the exit status."""
    where = addresses()
    with ThreadPoolExecutor(8) as pool:
        answers = dict(zip(where, pool.map(answer, where), strict=True))
    dead = {link: wrong for link, wrong in answers.items() if wrong}
    for link, wrong in dead.items():
        print(f"{link}: {wrong}; in {', '.join(where[link])}")
    print(f"{len(where)} links, {len(dead)} dead")
    return int(bool(dead))


if __name__ == "__main__":
    sys.exit(main())
