"""What a reader may set by one command: NAME=value, read before any work, in the copy only."""

import copy
import glob
import os
import re

import nbformat
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools import execute
from tools.notebooks import load, source, tags
from tools.parameters import given as read
from tools.parameters import in_readers_words, inject, parameters, suffix
from tools.project import NOTEBOOKS, ROOT

KNOWN = {name for path in NOTEBOOKS for name in parameters(load(path))}


def test_the_names_are_those_that_were_promised():
    promised = "MY_TABLE MY_TARGET DIGITS MY_DIGIT MY_PHOTO K MY_RATINGS ME"
    assert set(promised.split()) == KNOWN


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("K=5", 5),
        ("K= 12 ", 12),
        ("DIGITS=(3, 5)", (3, 5)),
        ("DIGITS=9,0", (9, 0)),
        ("DIGITS=[4, 2]", (4, 2)),
        ("ME=42", "42"),
        ("ME=007", "007"),
        ("ME=Ann=e", "Ann=e"),
        ("ME=None", "None"),
        ("ME={'Heat (1995)': 4.5, 318: 5}", {"Heat (1995)": 4.5, "318": 5}),
        ("MY_TARGET=price", "price"),
        ("MY_TARGET=3", "3"),
        ("MY_TARGET=(1, 2)", "(1, 2)"),
    ],
)
def test_literals_are_literals_and_all_else_is_text(argument, value):
    (found,) = read([argument], KNOWN).values()
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("argument", "said"),
    [
        ("PHOTO=a.jpg", "PHOTO: expected NAME=value with one of DIGITS, K, ME, MY_DIGIT, MY_PHOTO"),
        ("my_photo=a.jpg", "my_photo: expected NAME=value"),
        ("K", "K: expected NAME=value with one of"),
        ("=3", "expected NAME=value"),
        ("", "expected NAME=value"),
        ("K=", "K: expected a value, got nothing"),
        ("MY_PHOTO=", "MY_PHOTO: expected a value, got nothing"),
        ("ME= ", "ME: expected a value, got nothing"),
        ("K=0", "K: expected a whole number from 1 on, got '0'"),
        ("K=-3", "K: expected a whole number from 1 on, got '-3'"),
        ("K=2.0", "K: expected a whole number from 1 on, got '2.0'"),
        ("K=True", "K: expected a whole number from 1 on, got 'True'"),
        ("K=many", "K: expected a whole number from 1 on, got 'many'"),
        ("K=08", "K: expected a whole number from 1 on, got '08'"),
        ("K=__import__('os')", "K: expected a whole number"),
        ("K=" + "(" * 500, "K: expected a whole number"),
        ("DIGITS=7", "DIGITS: expected two different digits like (3, 5), got '7'"),
        ("DIGITS=(1, 1)", "DIGITS: expected two different digits"),
        ("DIGITS=(1, 10)", "DIGITS: expected two different digits"),
        ("DIGITS=(-1, 1)", "DIGITS: expected two different digits"),
        ("DIGITS=(1, 7, 9)", "DIGITS: expected two different digits"),
        ("DIGITS=(1, 7.0)", "DIGITS: expected two different digits"),
        ("DIGITS=(0, True)", "DIGITS: expected two different digits"),
        ("DIGITS={1, 7}", "DIGITS: expected two different digits"),
        ("DIGITS=17", "DIGITS: expected two different digits"),
        ("DIGITS='17'", "DIGITS: expected two different digits"),
        ("ME={}", "ME: expected a user, or ratings like"),
        ("ME={'Heat': 'good'}", "ME: expected a user, or ratings like"),
        ("ME={'Heat': True}", "ME: expected a user, or ratings like"),
        ("ME={'Heat': 1" + "0" * 400 + "}", "ME: expected a user, or ratings like"),
        ("ME={'Heat': 1e999}", "ME: expected a user, or ratings like"),
        ("ME={'Heat', 'Up'}", "ME: expected a user, or ratings like"),
        ("ME={'Heat': 4", "ME: expected a user, or ratings like"),
        ("ME={[]: 4}", "ME: expected a user, or ratings like"),
        ("MY_PHOTO=nowhere.jpg", "MY_PHOTO: expected a file that exists, got "),
        ("MY_PHOTO=nowhere*.jpg", "MY_PHOTO: expected a pattern that matches a file, got "),
        ("MY_TABLE=.", "MY_TABLE: expected a file, got the folder "),
        ("MY_RATINGS=a\0b", "MY_RATINGS: expected a file that exists, got "),
        ("MY_DIGIT=" + "x" * 5000, "MY_DIGIT: expected a file that exists, got "),
    ],
)
def test_one_sentence_says_what_was_expected(argument, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=re.escape(said)) as error:
        read(["ME=42", argument], KNOWN)
    assert "\n" not in str(error.value)


@given(st.text())
def test_any_text_is_a_person_or_an_error_and_never_a_crash(text):
    for name in ("ME", "K", "DIGITS"):
        try:
            (value,) = read([f"{name}={text}"], KNOWN).values()
        except ValueError as error:
            assert str(error).startswith(f"{name}: expected ")  # noqa: PT017
        else:
            assert value == text or isinstance(value, int | tuple | dict)


def test_paths_become_absolute(tmp_path, monkeypatch):
    home = tmp_path / "a home"
    (home / "é").mkdir(parents=True)
    photo = home / "é" / "my = photo.jpg"
    photo.write_bytes(b"x")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("USERPROFILE", str(home))
    monkeypatch.chdir(home)
    for typed in ("~/é/my = photo.jpg", "é/my = photo.jpg", "é/../é/my = photo.jpg", str(photo)):
        for name in ("MY_PHOTO", "MY_DIGIT", "MY_TABLE", "MY_RATINGS"):
            assert read([f"{name}={typed}"], KNOWN) == {name: str(photo)}


def test_a_file_without_content_or_that_cannot_be_opened_is_named(tmp_path, monkeypatch):
    file = tmp_path / "ratings.csv"
    file.touch()
    with pytest.raises(
        ValueError, match=r"^MY_RATINGS: expected a file with something in it, got "
    ):
        read([f"MY_RATINGS={file}"], KNOWN)

    def refuse(*args):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", refuse)  # root, who runs CI's containers, may read all
    said = rf"^MY_RATINGS: expected a file that can be read, got {re.escape(str(file))} \(Perm"
    with pytest.raises(ValueError, match=said):
        read([f"MY_RATINGS={file}"], KNOWN)


def test_an_error_of_the_function_that_reads_the_file_names_the_parameter():
    values, said = {"MY_PHOTO": "/a/b.jpg", "K": 3}, "ValueError: path: /a/b.jpg is not an image"
    assert in_readers_words(said, values) == "ValueError: MY_PHOTO: /a/b.jpg is not an image"
    for other in (
        "ValueError: path: /a/c.jpg is empty",
        "KeyError: '/a/b.jpg'",
        "evidence: path: x",
    ):
        assert in_readers_words(other, values) == other


def test_a_pattern_stays_a_pattern_that_begins_at_the_root(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "digits").mkdir()
    pattern = os.path.join("digits", "*.jpg")
    with pytest.raises(ValueError, match="MY_DIGIT: expected a pattern that matches a file"):
        read([f"MY_DIGIT={pattern}"], KNOWN)
    (tmp_path / "digits" / "folder.jpg").mkdir()
    with pytest.raises(ValueError, match="MY_DIGIT: expected a pattern that matches a file"):
        read([f"MY_DIGIT={pattern}"], KNOWN)
    (tmp_path / "digits" / "seven.jpg").touch()
    assert read([f"MY_DIGIT={pattern}"], KNOWN) == {"MY_DIGIT": str(tmp_path / pattern)}


@pytest.mark.skipif(os.name == "nt", reason="a * cannot stand in a name there")
def test_a_star_may_be_part_of_a_name(tmp_path):
    (tmp_path / "a*b.jpg").write_bytes(b"x")
    assert read([f"MY_PHOTO={tmp_path}/a*b.jpg"], KNOWN)["MY_PHOTO"].endswith("a*b.jpg")


def test_values_are_set_in_their_cell_and_nowhere_else(path):
    stored = load(path)
    book = copy.deepcopy(stored)
    inject(book, {})
    assert [source(c) for c in book["cells"]] == [source(c) for c in stored["cells"]]
    values = {"MY_TABLE": "/a b/it's.csv", "DIGITS": (3, 5), "K": 3, "ME": {"Heat (1995)": 4.5}}
    inject(book, values)
    for new, old in zip(book["cells"], stored["cells"], strict=True):
        if "parameters" in tags(old):
            before, after = {}, {}
            exec(source(old), before)
            exec(source(new), after)
            assert after.keys() == before.keys()
            for name in parameters(stored):
                assert after[name] == values.get(name, before[name])
            comments = [re.search(r"  # .*", line).group() for line in source(old).splitlines()]
            assert re.findall(r"  # .*", source(new)) == comments
        else:
            assert source(new) == source(old)


@pytest.mark.parametrize(
    ("line", "new"),
    [
        ('MY_PHOTO = "mine.jpg"  # a photo', "MY_PHOTO = '/b.jpg'  # a photo"),
        ('MY_PHOTO="mine.jpg"', "MY_PHOTO = '/b.jpg'"),
        ('MY_PHOTO = "my # 1.jpg"  # a photo', None),
        ("# MY_PHOTO = None  # a photo", "# MY_PHOTO = None  # a photo"),
    ],
)
def test_a_value_that_the_reader_has_written_gives_way(line, new):
    cell = {"cell_type": "code", "metadata": {"tags": ["parameters"]}, "source": f"{line}\nK = 8"}
    inject({"cells": [cell]}, {"MY_PHOTO": "/b.jpg"})
    found = {}
    exec(cell["source"], found)
    assert found["K"] == 8
    assert found.get("MY_PHOTO", "/b.jpg") == "/b.jpg"
    assert new in (None, cell["source"].splitlines()[0])


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ({"MY_PHOTO": "/home/é/my holiday.v2.jpg"}, "my-holiday-v2"),
        ({"MY_RATINGS": "/a/ratings.csv.gz", "ME": "42"}, "ratings-csv-ME-42"),
        ({"DIGITS": (3, 5)}, "DIGITS-3-5"),
        ({"MY_DIGIT": "/a/*.jpg"}, "MY_DIGIT"),
        ({"ME": {"Heat (1995)": 4.5}}, "ME-Heat-1995-4-5"),
    ],
)
def test_results_are_named_after_what_was_given(values, name):
    assert suffix(values) == name


@given(st.dictionaries(st.sampled_from(sorted(KNOWN)), st.text(min_size=1), min_size=1))
def test_any_value_makes_a_name_for_a_file(values):
    assert len(suffix(values).encode()) <= 200
    assert re.fullmatch(r"[\w-]{1,50}", suffix(values))


# The command -----------------------------------------------------------------------------------

BOOK = {
    "photos": [
        "MY_PHOTO = None  # a photo\nK = 8  # how many colours",
        "print('saw', MY_PHOTO, K)",
        "print('Saved build/photos/a.png')\nprint('Warning: small')\nprint('Not Saved')",
        "import sys\nsys.path.insert(0, {root!r})\nfrom common.evidence import Evidence\n"
        "evidence = Evidence('synthetic', own=MY_PHOTO is not None)\n"
        "evidence.truth('holds', 0, 1)\nevidence.finding('colours', K, 8)",
        "evidence.show()",
    ],
    "people": ["ME = None  # a person", "1 / 0"],
}


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project with two little notebooks."""
    paths = []
    for name, cells in BOOK.items():
        book = nbformat.v4.new_notebook(
            cells=[nbformat.v4.new_code_cell(c.replace("{root!r}", repr(str(ROOT)))) for c in cells]
        )
        book.cells[0].metadata["tags"] = ["parameters"]
        paths.append(tmp_path / "my project" / name / f"{name}.ipynb")
        paths[-1].parent.mkdir(parents=True)
        paths[-1].write_text(nbformat.writes(book), encoding="utf-8")
    root = tmp_path / "my project"
    for name, value in {"NOTEBOOKS": paths, "ROOT": root, "BUILD": root / "build"}.items():
        monkeypatch.setattr(execute, name, value)
    return root


def test_only_what_has_the_parameter_is_executed_and_the_notebook_stays(project, capsys):
    photo = project / "the photo.jpg"
    photo.write_bytes(b"x")
    before = {file: file.read_bytes() for file in project.glob("*/*.ipynb")}
    whole = project / "build" / "index.html"
    whole.parent.mkdir()
    whole.write_text("of the whole run")
    assert execute.run([f"MY_PHOTO={photo}", "K=9"]) == 0
    said = capsys.readouterr().out
    assert "Executing photos only: no other notebook has MY_PHOTO or K." in said
    made = project / "build" / "photos" / "photos-the-photo-K-9"
    assert f"Page: {made.with_suffix('.html').as_uri()}" in said
    assert "1 of 1" in said  # the finding gets no verdict
    assert "\nSaved build/photos/a.png\nWarning: small\nPage: " in said
    assert "Not Saved" not in said
    (printed,) = (c.outputs[0].text for c in execute.read(made.with_suffix(".ipynb")).cells[1:2])
    assert printed == f"saw {photo} 9\n"
    assert {file: file.read_bytes() for file in before} == before
    assert whole.read_text() == "of the whole run"
    names = {f.relative_to(project).as_posix() for f in (project / "build").rglob("*.*")}
    page = "build/photos/photos-the-photo-K-9"
    assert names == {"build/index.html", f"{page}.html", f"{page}.ipynb"}


def test_a_whole_run_names_the_notebook_and_what_went_wrong(project, capsys):
    assert execute.run([]) == 1
    out, error = capsys.readouterr()
    assert "FAILED people/people.ipynb: ZeroDivisionError: division by zero" in error
    assert "photos/photos.ipynb" in out
    assert "Saved" not in out
    assert error.count("FAILED") == 1
    index = (project / "build" / "index.html").read_text(encoding="utf-8")
    assert '<a href="photos/photos.html">photos/photos.ipynb</a>' in index
    assert (project / "build" / "people" / "people.html").exists()
    assert f"Page: {(project / 'build' / 'index.html').as_uri()}" in out


@pytest.mark.parametrize("argument", ["K=0", "MY_PHOTO=nowhere.jpg", "YOU=42"])
def test_what_was_not_understood_ends_before_any_work(project, capsys, argument, monkeypatch):
    monkeypatch.setattr(execute, "execute_all", None)
    assert execute.run([argument, "ME=42"]) == 2
    out, error = capsys.readouterr()
    assert out == ""
    assert error.startswith(f"{argument.partition('=')[0]}: expected ")
    assert error.count("\n") == 1
    assert not (project / "build").exists()


def test_brackets_in_a_folder_s_name_are_letters(tmp_path, monkeypatch):
    folder = tmp_path / "photos [2024]?"
    folder.mkdir()
    (folder / "a.jpg").touch()
    monkeypatch.chdir(folder)
    for typed in ("*.jpg", f"{folder}/*.jpg"):
        (pattern,) = read([f"MY_DIGIT={typed}"], KNOWN).values()
        assert glob.glob(pattern) == [str(folder / "a.jpg")]
