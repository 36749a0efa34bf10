"""What the prose says: no measured number that no output holds, and exercises with solutions."""

import re

import numpy as np
import pytest

from common import digits, synthetic
from tools.notebooks import algorithms, load, source
from tools.project import NOTEBOOKS, ROOT

UNIT = re.compile(
    r" ?(×|(times (faster|as|the)|fold|s|ms|seconds|minutes|errors|dB|MB|GB|faster|slower)\b)"
)
NUMBER = re.compile(r"(?<![\w.^{-])\d[\d,]*(?:\.\d+)?(?:e-?\d+)?(?![\d.]*\w*[-_]\w)")
# Code and equations are not prose, nor are addresses, headings' own numbers and generated tables.
NOT_PROSE = [
    r"```.*?```",
    r"<details>.*?</details>",
    r"<!-- (\w+):start -->.*?<!-- \1:end -->",
    r"\$\$.*?\$\$",
    r"\$[^$\n]+(?:\n[^$\n]+)?\$",
    r"`[^`]+`",
    r"\]\([^)]*\)",
    r"<[^>]*>",
    r"^#+ \d+\.",
    r"^ *\d+\. ",
]


def numbers(text: str) -> set[str]:
    """Return the numerals of a text in one spelling: 80,000 and 80_000 are 80000."""
    found = re.findall(r"\d[\d,_]*(?:\.\d+)?(?:e[-+]?\d+)?", text)
    return {re.sub("[,_]", "", number) for number in found}


def unbacked(prose: str, code: str, printed: str) -> list[str]:
    """Return the numbers that neither code nor output holds, each with the words around it.

    What has a unit of measurement must stand in an output; a setting may stand in the code.
    """
    outputs = numbers(printed)
    settings = outputs | numbers(code)
    for pattern in NOT_PROSE:
        prose = re.sub(pattern, " ", prose, flags=re.DOTALL | re.MULTILINE)
    missing = []
    for match in NUMBER.finditer(prose):
        number = match.group().replace(",", "").rstrip(".")
        year = re.fullmatch(r"1[89]\d\d|20\d\d", number)
        known = outputs if UNIT.match(prose, match.end()) else settings
        # "20 %" may stand in the code as 0.2.
        percent = re.match(r" ?%", prose[match.end() :]) and f"{float(number) / 100:g}"
        if not (number in known or year or percent in known):
            missing.append(" ".join(prose[max(0, match.start() - 30) : match.end() + 20].split()))
    return missing


def sources(notebook: dict, kind: str) -> list[str]:
    return [source(cell) for cell in notebook["cells"] if cell["cell_type"] == kind]


def printed(notebook: dict) -> str:
    """Return all text that the cells print or show."""
    text = []
    for cell in notebook["cells"]:
        for output in cell.get("outputs", []):
            text += output.get("text", []) + output.get("data", {}).get("text/plain", [])
    return "".join(text)


def test_a_number_in_prose_stands_in_the_code_or_in_an_output(notebook):
    prose, code = ("\n\n".join(sources(notebook, kind)) for kind in ("markdown", "code"))
    assert unbacked(prose, code, printed(notebook)) == []


def test_a_number_in_the_readme_stands_in_a_notebook_or_in_the_projects_settings():
    files = [
        "pyproject.toml",
        "Makefile",
        "tools/execute.py",
        "common/digits.py",
        "common/photos.py",
    ]
    settings = "".join((ROOT / file).read_text(encoding="utf-8") for file in files)
    outputs = "".join(printed(load(path)) for path in NOTEBOOKS)
    assert unbacked((ROOT / "README.md").read_text(encoding="utf-8"), settings, outputs) == []


@pytest.mark.parametrize(
    "prose",
    [
        "The CNN makes 3.3 errors.",
        "Accuracy is 99.7 % on average,",
        "about 41× faster",
        "about 10 times faster",
        "after 10 seconds",
        "in 12.5 s",
        "a ratio of 0.137.",
        "| CNN | 98.31 |",
        "- it took 57 seconds",
        "an error of 3e-7",
    ],
)
def test_a_measured_number_is_found(prose):
    assert len(unbacked(prose, "x = 10", "0.5")) == 1


@pytest.mark.parametrize(
    "prose",
    [
        "## 7. The interpolation peak",
        "1. Give feature $j$ the scale $1/j$, with $d = 40$.",
        "Hamerly (2010), and K-means, `n=1000`, [it](page-8.html), float64, x2",
        "10 of the 0.5",
        "50 % of them are held out",
        "```python\nx = 77\n```",
        "<!-- bench:start -->\n| 0.137 |\n<!-- bench:end -->",
    ],
)
def test_what_is_no_measured_number_is_not(prose):
    assert unbacked(prose, "n = 10", "0.5") == []


# Exercises -------------------------------------------------------------------------------------


def solutions(notebook: dict) -> list[str]:
    text = "\n\n".join(sources(notebook, "markdown"))
    folded = re.findall(r"<details>.*?</details>", text[text.index("## Exercises") :], re.S)
    return ["\n".join(re.findall(r"```python\n(.*?)```", block, re.S)) for block in folded]


def test_every_exercise_has_a_folded_solution(notebook):
    text = "\n\n".join(sources(notebook, "markdown"))
    exercises = text[text.index("## Exercises") :]
    numbered = re.findall(r"^\d+\. |^\*\*\d+\.|^### ", exercises, flags=re.MULTILINE)
    assert len(numbered) >= 3
    assert len(solutions(notebook)) == len(numbered)
    # Without empty lines around it, Markdown inside HTML is not rendered.
    assert "</summary>\n\n" in exercises
    assert len(re.findall(r"\n\n</details>", exercises)) == len(numbered)


@pytest.mark.parametrize("k", range(4))
def test_the_checks_in_the_solutions_hold(path, notebook, k):
    code = solutions(notebook)[k] if k < len(solutions(notebook)) else pytest.skip("has three")
    assert re.search(r"^\s*assert ", code, flags=re.MULTILINE)
    public = vars(digits) | vars(synthetic)
    exec(
        compile(code, f"solution {k + 1}", "exec"),
        public | vars(algorithms(path.parent.name)) | {"np": np},
    )
