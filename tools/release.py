"""Let the notebooks, the links and the website lead to a release, or to `main` again.

usage: python -m tools.release X.Y.Z    before the commit that gets the tag vX.Y.Z
       python -m tools.release main     in the commit after it
"""

import json
import re
import sys
from pathlib import Path

from tools import readme
from tools.fingerprint import fingerprint
from tools.project import NOTEBOOKS, ROOT, write


def substitute(path: Path, pattern: str, new: str) -> None:
    """Put `new` in place of the one line that fits `pattern`; ValueError if there is not one."""
    text, count = re.subn(pattern, new, path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    if count != 1:
        raise ValueError(f"{path.name}: expected one line like {pattern}, got {count}")
    write(path, text)


def point(path: Path, ref: str) -> None:
    """Let a notebook's first cell fetch `ref`; this makes no stored output stale."""
    before = json.loads(path.read_text(encoding="utf-8"))
    substitute(path, r'"RELEASE = \\"[^"\\]+\\"', rf'"RELEASE = \\"{ref}\\"')
    stored = before["metadata"].get("fingerprint")
    if stored and stored == fingerprint(before, path.parent):
        after = json.loads(path.read_text(encoding="utf-8"))
        substitute(path, stored, fingerprint(after, path.parent))


def main(version: str) -> None:
    """Write the version, and what all that names a release leads to."""
    if not re.fullmatch(r"main|\d+\.\d+\.\d+", version):
        raise ValueError(f"version: expected X.Y.Z or main, got {version!r}")
    if version != "main":
        if f"\n## {version}" not in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"):
            raise ValueError(f"CHANGELOG.md: expected a section {version}, got none")
        substitute(ROOT / "pyproject.toml", r'^version = ".*"$', f'version = "{version}"')
        substitute(ROOT / "CITATION.cff", r"^version: .*$", f"version: {version}")
    for path in NOTEBOOKS:
        point(path, version if version == "main" else f"v{version}")
    readme.renew()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    try:
        main(sys.argv[1])
    except ValueError as error:
        sys.exit(str(error))
