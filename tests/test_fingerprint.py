"""Stored outputs are stale if and only if something changed that can change an output."""

import ast
import sys

import nbformat
import pytest

from tools.fingerprint import DISTRIBUTIONS, fingerprint, imports, is_quiet, shape
from tools.notebooks import code_cells, load, source
from tools.project import NOTEBOOKS, ROOT

CELLS = [
    "import matplotlib.pyplot as plt\nfrom common import photos\nfrom common.checks import array",
    'def half(x):\n    """Half of x."""\n    return x / 2',
    "half(3)",
]
FILES = {
    "requirements.txt": """# compiled
matplotlib==3.10.1
    # via -r requirements.in
numpy==2.2.0 ; python_version < "3.12"
numpy==2.4.6 ; python_version >= "3.12"  # arrays
pillow==12.0.0
ruff==0.15.0
tqdm==4.67.0
""",
    "common/__init__.py": "",
    "common/checks.py": '"""Checks."""\nimport numpy as np\n\narray = np.asarray\n',
    "common/photos.py": "from PIL import Image\n\nfrom common.deep import low\n",
    "common/deep.py": "low = 1\n",
    "common/other.py": "import tqdm\n",
    "lesson/ratings.csv": "user,item,rating\n",
    "lesson/preview.png": "picture",
}


@pytest.fixture
def stamp(tmp_path):
    """The fingerprint of a little notebook in a little project, with some changes to its files."""

    def stamped(cells=CELLS, **changed):
        for name, text in (FILES | changed).items():
            file = tmp_path / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        new = [nbformat.v4.new_code_cell(text) for text in cells]
        book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("prose"), *new])
        return fingerprint(book, tmp_path / "lesson")

    return stamped


@pytest.mark.parametrize(
    "change",
    [
        {"requirements.txt": FILES["requirements.txt"].replace("ruff==0.15.0", "ruff==0.16.0")},
        {"requirements.txt": FILES["requirements.txt"].replace("tqdm==4.67.0", "tqdm==5.0")},
        {"requirements.txt": FILES["requirements.txt"].replace("# arrays", "# and more")},
        {"common/deep.py": "# a comment\nlow = (\n    1\n)\n"},
        {"common/deep.py": '"""A docstring."""\n\nlow = 1\n'},
        {"common/checks.py": FILES["common/checks.py"].replace("Checks", "Every check")},
        {"common/other.py": "import ruff\n"},
        {"lesson/preview.png": "another picture"},
        {"lesson/README.md": "about the data"},
        {"lesson/notes.txt": "notes"},
    ],
    ids=lambda change: next(iter(change.items()))[0],
)
def test_what_changes_no_output_makes_nothing_stale(stamp, change):
    before = stamp()
    assert stamp(**change) == before


@pytest.mark.parametrize(
    "change",
    [
        {"requirements.txt": FILES["requirements.txt"].replace("2.4.6", "2.4.7")},
        {"requirements.txt": FILES["requirements.txt"].replace("2.2.0", "2.2.1")},
        {"requirements.txt": FILES["requirements.txt"].replace("3.10.1", "3.10.2")},
        {"requirements.txt": FILES["requirements.txt"].replace("12.0.0", "12.0.1")},
        {"common/checks.py": FILES["common/checks.py"].replace("asarray", "asanyarray")},
        {"common/deep.py": "low = 2\n"},
        {"common/deep.py": "low = 1.0\n"},
        {"common/deep.py": "import tqdm\nlow = 1\n"},
        {"lesson/ratings.csv": "user,item,stars\n"},
        {"lesson/more.npz": "more"},
        {"lesson/films/all.npz": "more"},
    ],
    ids=lambda change: next(iter(change.items()))[0],
)
def test_what_may_change_an_output_makes_it_stale(stamp, change):
    before = stamp()
    assert stamp(**change) != before


def test_a_cell_that_is_only_a_text_shows_it(stamp):
    one, other, none = (stamp([*CELLS, code]) for code in ('"one"', '"other"', ""))
    assert len({one, other, none}) == 3


@pytest.mark.parametrize(
    "cells",
    [
        [CELLS[0], "# @title Half\n" + CELLS[1], CELLS[2]],
        [CELLS[0], "def half(x):\n    return x / 2  # a half", CELLS[2]],
        [
            CELLS[0],
            'def half(x):\n    "Another."\n    return (\n        x / 2\n    )',
            "half( 3 )\n",
        ],
        [CELLS[0], CELLS[1], "half(3)  # not three; a half"],
    ],
)
def test_comments_docstrings_and_formatting_do_not_count(stamp, cells):
    assert stamp(cells) == stamp()


def test_a_release_makes_nothing_stale(stamp):
    before = stamp(['RELEASE = "main"  # the newest\nx = 1', *CELLS])
    assert stamp(['RELEASE = "v1.2"  # the newest\nx = 1', *CELLS]) == before
    assert stamp(['RELEASE = "v1.2"  # the newest\nx = 2', *CELLS]) != before


@pytest.mark.parametrize(
    "cells",
    [
        [*CELLS[:2], "half(4)"],
        [*CELLS[:2], "half(3.0)"],
        [*CELLS[:2], "half(3);"],
        [*CELLS[:2], "print(half(3))"],
        [CELLS[1], CELLS[0], CELLS[2]],
        ["\n".join(CELLS[:2]), CELLS[2]],
        [*CELLS, "import tqdm"],
        [*CELLS, "from common.other import tqdm"],
    ],
)
def test_another_code_counts(stamp, cells):
    assert stamp(cells) != stamp()


@pytest.mark.parametrize(
    ("code", "quiet"),
    [
        ("plot();", True),
        ("plot();  # a line", True),
        ("plot() ;\n\n# the end\n", True),
        ("plot()", False),
        ("plot()  # one; two;", False),
        ('text = ";"', False),
        ("a; b", False),
        ("", False),
    ],
)
def test_a_semicolon_at_the_end_hides_a_value(code, quiet):
    assert is_quiet(code) == quiet


def test_the_shape_of_code_is_the_same_on_every_version_of_python():
    code = "@a\ndef f(x, *, y=None):\n    'doc'\n    return f'{x!r:>{y}} {{}} ' 'z' + b'1'\n"
    assert shape(ast.parse(code)) == (
        "Module(body=[FunctionDef(name='f' args=arguments(args=[arg(arg='x')] "
        "kwonlyargs=[arg(arg='y')] kw_defaults=[Constant()]) body=[Return(value=BinOp("
        "left=JoinedStr(values=[FormattedValue(value=Name(id='x' ctx=Load()) conversion=114 "
        "format_spec=JoinedStr(values=[Constant(value='>') FormattedValue(value=Name(id='y' "
        "ctx=Load()) conversion=-1)])) Constant(value=' {} z')]) op=Add() "
        "right=Constant(value=b'1')))] decorator_list=[Name(id='a' ctx=Load())])])"
    )


@pytest.mark.parametrize(
    ("code", "other"),
    [
        ("x = None", "x = False"),
        ("x = 0", "x = False"),
        ("x = 1", "x = True"),
        ("x = ''", "x = b''"),
        ("x = []", "x = ()"),
        ("def f(): return None", "def f(): return"),
        ("x = 'a'", "x = a"),
        ("a.b = 1", "a.c = 1"),
        ("from a import b", "from a import b as c"),
        ("'text'", "'other'; 1"),
    ],
)
def test_what_differs_has_another_shape(code, other):
    assert shape(ast.parse(code)) != shape(ast.parse(other))


def test_every_package_that_a_notebook_needs_has_a_pin():
    codes = [source(cell) for path in NOTEBOOKS for cell in code_cells(load(path))]
    codes += [file.read_text(encoding="utf-8") for file in (ROOT / "common").glob("*.py")]
    packages = {name.split(".")[0] for code in codes for name in imports(code)}
    text = (ROOT / "requirements.txt").read_text(encoding="utf-8").lower()
    for package in packages - set(sys.stdlib_module_names) - {"common"}:
        name = DISTRIBUTIONS.get(package, package).lower().replace("_", "-")
        assert f"\n{name}==" in text, package
