"""What a reader may set: NAME=value for `make run`, and the cells tagged `parameters`."""

import ast
import glob
import os
import re
from pathlib import Path

from tools.notebooks import source, tags

FILES = frozenset({"MY_TABLE", "MY_DIGIT", "MY_PHOTO", "MY_RATINGS"})
LINE = re.compile(r"(\w+) *= *(.+?)( +# .+)?")  # NAME = value  # what it is


def parameters(notebook: dict) -> dict[str, str]:
    """Return the names in a notebook's cell tagged `parameters`, each with its value's code."""
    lines = [
        line
        for cell in notebook["cells"]
        if "parameters" in tags(cell)
        for line in source(cell).splitlines()
    ]
    return {found[1]: found[2] for found in map(LINE.fullmatch, lines) if found}


def given(arguments: list[str], known: set[str]) -> dict[str, object]:
    """Read what a reader has set.

    Parameters
    ----------
    arguments : list of str
        Each "NAME=value", as typed: ``~`` is expanded here, a path counts from this folder.
    known : set of str
        The names that some notebook has.

    Returns
    -------
    dict
        The value of each name. Paths are absolute, with a ``*`` a pattern for `glob`; ``K``,
        ``DIGITS`` and an ``ME`` in braces are literals, and all else is text.

    Raises
    ------
    ValueError
        In one sentence, if a name is not known, a value is not what its name stands for, or a
        file is not there.
    """
    values = {}
    for argument in arguments:
        name, equals, text = argument.partition("=")
        if not equals or name not in known:
            names = ", ".join(sorted(known))
            raise ValueError(f"{name}: expected NAME=value with one of {names}, got {argument!r}")
        if not text.strip():
            raise ValueError(f"{name}: expected a value, got nothing")
        values[name] = value(name, text)
    return values


def value(name: str, text: str) -> object:
    """Return the value that `text` means for `name`; ValueError if it means none."""
    if name in FILES:
        return existing(name, text)
    if name == "K":
        number = literal(text)
        if type(number) is not int or number < 1:
            raise ValueError(f"K: expected a whole number from 1 on, got {text!r}")
        return number
    if name == "DIGITS":
        pair = literal(text)
        two = isinstance(pair, tuple | list) and len(pair) == 2 and pair[0] != pair[1]
        if not two or not all(type(digit) is int and 0 <= digit <= 9 for digit in pair):
            raise ValueError(f"DIGITS: expected two different digits like (3, 5), got {text!r}")
        return tuple(pair)
    if name == "ME" and text.lstrip().startswith("{"):
        liked = literal(text)
        if not isinstance(liked, dict) or not liked or not all(map(is_number, liked.values())):
            raise ValueError(
                f"ME: expected a user, or ratings like {{'Heat (1995)': 4.5}}, got {text!r}"
            )
        return {str(title): rating for title, rating in liked.items()}
    return text


def literal(text: str) -> object:
    """Return the value of a Python literal, None if the text is none."""
    try:
        return ast.literal_eval(text.strip())
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return None


def is_number(rating: object) -> bool:
    """Whether a rating is a number that a float can hold, and no NaN."""
    return type(rating) in (int, float) and -1e100 <= rating <= 1e100


def existing(name: str, text: str) -> str:
    """Return the absolute path of a file, or a pattern that matches files."""
    path = os.path.abspath(os.path.expanduser(text))
    if os.path.isfile(path):
        try:
            with open(path, "rb") as file:
                empty = not file.read(1)
        except OSError as error:
            what = f"{path} ({error.strerror})"
            raise ValueError(f"{name}: expected a file that can be read, got {what}") from None
        if empty:
            raise ValueError(f"{name}: expected a file with something in it, got {path}")
        return path
    if os.path.isdir(path):
        raise ValueError(f"{name}: expected a file, got the folder {path}")
    if "*" not in path:
        raise ValueError(f"{name}: expected a file that exists, got {path}")
    pattern = re.sub(r"[?[]", r"[\g<0>]", path)  # as in "photos [2024]": only * stands for others
    if not any(map(os.path.isfile, glob.glob(pattern, recursive=True))):
        raise ValueError(f"{name}: expected a pattern that matches a file, got {path}")
    return pattern


def inject(notebook: dict, values: dict[str, object]) -> None:
    """Set the parameters that this notebook has, in its cell tagged `parameters`."""
    for cell in notebook["cells"]:
        if "parameters" in tags(cell):
            lines = source(cell).split("\n")
            for i, found in enumerate(map(LINE.fullmatch, lines)):
                if found and found[1] in values:
                    lines[i] = f"{found[1]} = {values[found[1]]!r}{found[3] or ''}"
            cell["source"] = "\n".join(lines)


def in_readers_words(failure: str, values: dict[str, object]) -> str:
    """Name the parameter where the function that reads the file names its argument, `path`."""
    for name in FILES & values.keys():
        if str(values[name]) in failure:
            failure = re.sub(r"^(\w+: )path: ", rf"\1{name}: ", failure)
    return failure


def suffix(values: dict[str, object]) -> str:
    """Return what the results on these values are named after, for the end of a file's name."""
    words = []
    for name, content in values.items():
        text = Path(content).stem if name in FILES else f"{name}-{content}"
        words.append(re.sub(r"\W+", "-", text).strip("-") or name)
    return "-".join(words)[:50]  # a name may have 255 bytes, a letter four
