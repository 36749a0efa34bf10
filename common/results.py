"""Results as files under build/, named after the reader's input; no file of theirs is lost."""

import hashlib
import json
import os
import re
import tempfile
from pathlib import Path

from common.environment import ROOT

RESERVED = re.compile(r"(?i)(con|prn|aux|nul|(com|lpt)[\d¹²³])(\.|$)")  # what Windows keeps


def save(notebook: str, source, ending: str, content) -> Path:
    """Write one result whole or not at all, print its path, and return it.

    An earlier result of the same name is replaced. A file that was not written here, or that was
    changed since, stays as it is, and the result takes another name ("holiday-8-2.png"): the
    hidden file ``.sha256`` beside the results lists what was written here.

    Parameters
    ----------
    notebook : str
        The notebook's folder ("clustering"): results go to ``build/clustering/``.
    source : str or path
        The input; its file name without suffix begins the result's name.
    ending : str
        The end of the name ("-8.png").
    content : bytes, str, or what JSON can hold
        Text is written as UTF-8 with Unix line ends, all but text and bytes as JSON.

    Raises
    ------
    TypeError, ValueError
        If `content` is none of these, or holds NaN or infinity, which JSON has not.
    OSError
        If it cannot be written (a full disk, a folder without permission); it names the path.
    """
    if not isinstance(content, bytes | str):
        content = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    data = content.encode() if isinstance(content, str) else content
    folder = ROOT / "build" / _safe(notebook)
    path = first = folder / _safe(Path(source).stem[:50] + ending)
    n, known = 1, folder / ".sha256"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        ours = known.read_text(encoding="utf-8", errors="replace") if known.exists() else ""
        while os.path.lexists(path) and not _is_ours(path, ours):
            n += 1
            path = first.with_stem(f"{first.stem}-{n}")
        with tempfile.TemporaryDirectory(prefix=".", dir=folder) as own:
            (new := Path(own) / "new").write_bytes(data)
            with known.open("a", encoding="utf-8") as file:
                file.write(_line(path, data))
            os.replace(new, path)
    except OSError as error:
        raise OSError(f"{path}: the result could not be written: {error}") from error
    print(f"Saved {path.relative_to(ROOT).as_posix()}")
    return path


def _is_ours(path: Path, ours: str) -> bool:
    return path.is_file() and not path.is_symlink() and _line(path, path.read_bytes()) in ours


def _line(path: Path, data: bytes) -> str:
    return f"{hashlib.sha256(data).hexdigest()}  {path.name}\n"


def _safe(name: str) -> str:
    """Return a name that every system accepts, which can be no path and no hidden file."""
    kept = "".join(c if c.isprintable() and c not in ' <>:"/\\|?*' else "-" for c in name)
    kept = kept.strip(".-") or "result"
    return f"_{kept}" if RESERVED.match(kept) else kept
