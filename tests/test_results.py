"""Results: written whole under build/, each printed, and no file of the reader's touched."""

import errno
import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from common import results
from common.results import save

SHARED = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(autouse=True)
def build(tmp_path, monkeypatch):
    """An empty project's folder of results."""
    monkeypatch.setattr(results, "ROOT", tmp_path)
    return tmp_path / "build" / "clustering"


def names(folder):
    return sorted(path.name for path in folder.iterdir() if path.name != ".sha256")


def test_a_result_is_named_after_the_input_and_printed(build, capsys):
    path = save("clustering", "~/Pictures/my.holiday.jpg", "-8.png", b"\x89PNG")
    assert path == build / "my.holiday-8.png"
    assert path.read_bytes() == b"\x89PNG"
    assert capsys.readouterr().out == "Saved build/clustering/my.holiday-8.png\n"


def test_text_is_utf_8_with_unix_line_ends(build):
    assert save("clustering", "a", ".csv", "é\nß\n").read_bytes() == "é\nß\n".encode()


@given(st.one_of(st.dictionaries(st.text(), st.integers()), st.lists(st.text()), st.none()))
@SHARED
def test_anything_else_is_json(content):
    path = save("clustering", "a", ".json", content)
    assert json.loads(path.read_text(encoding="utf-8")) == content


def test_what_json_cannot_hold_is_refused_before_anything_is_written(build):
    with pytest.raises(TypeError, match="not JSON serializable"):
        save("clustering", "a", ".json", object())
    assert not build.exists()


@given(st.lists(st.binary(), min_size=1, max_size=4))
@SHARED
def test_our_own_earlier_result_is_replaced(build, contents):
    for content in contents:
        path = save("clustering", "photo.jpg", ".png", content)
        assert path.read_bytes() == content
    assert names(build) == ["photo.png"]


def test_a_file_that_was_not_written_here_stays(build):
    build.mkdir(parents=True)
    (build / "photo.png").write_bytes(b"mine")
    for content in (b"first", b"second"):
        assert save("clustering", "photo.jpg", ".png", content) == build / "photo-2.png"
    assert (build / "photo.png").read_bytes() == b"mine"
    assert (build / "photo-2.png").read_bytes() == b"second"
    assert names(build) == ["photo-2.png", "photo.png"]


def test_a_result_that_was_changed_since_stays(build):
    save("clustering", "photo.jpg", ".png", b"first")
    (build / "photo.png").write_bytes(b"retouched")
    save("clustering", "photo.jpg", ".png", b"second")
    (build / "photo-2.png").write_bytes(b"retouched too")
    assert save("clustering", "photo.jpg", ".png", b"third").name == "photo-3.png"
    assert (build / "photo.png").read_bytes() == b"retouched"
    assert (build / "photo-2.png").read_bytes() == b"retouched too"


def test_another_result_with_the_same_content_is_not_taken_for_this_one(build):
    save("clustering", "a.jpg", ".png", b"same")
    (build / "b.png").write_bytes(b"same")
    assert save("clustering", "b.jpg", ".png", b"new").name == "b-2.png"


def test_links_and_folders_of_the_same_name_stay(build, tmp_path):
    save("clustering", "photo.jpg", ".png", b"ours")
    (tmp_path / "elsewhere.png").write_bytes(b"ours")
    (build / "photo.png").unlink()
    (build / "photo.png").symlink_to(tmp_path / "elsewhere.png")
    (build / "photo-2.png").symlink_to(tmp_path / "missing.png")
    (build / "photo-3.png").mkdir()
    assert save("clustering", "photo.jpg", ".png", b"new").name == "photo-4.png"
    assert (build / "photo.png").is_symlink()
    assert (tmp_path / "elsewhere.png").read_bytes() == b"ours"
    assert not (tmp_path / "missing.png").exists()


def test_a_list_of_results_that_cannot_be_read_protects_every_file(build):
    save("clustering", "photo.jpg", ".png", b"first")
    (build / ".sha256").write_bytes(b"\xff\xfe broken")
    assert save("clustering", "photo.jpg", ".png", b"second").name == "photo-2.png"
    assert (build / ".sha256").read_bytes().startswith(b"\xff\xfe broken")


@given(st.text(), st.text(max_size=20))
@example("../../etc/passwd", "")
@example("..", "/../../x.png")
@example("C:\\Users\\me\\photo.jpg", ".png")
@example("\udcff.jpg", ".png")
@example("..", "")
@SHARED
def test_no_name_leads_out_of_the_folder(build, source, ending):
    path = save("clustering", source, ending, b"content")
    assert path.parent == build
    assert path.resolve().parent == build.resolve()
    assert path.read_bytes() == b"content"
    assert not path.name.startswith(".")
    assert not set(path.name) & set('<>:"/\\|?* \n\0')
    assert len(path.name.encode()) < 255


@pytest.mark.parametrize("notebook", ["../clustering", "/clustering", "..", "clustering/.."])
def test_no_notebook_leads_out_of_build(tmp_path, notebook):
    path = save(notebook, "photo", ".png", b"")
    assert path.parent.parent == tmp_path / "build"
    assert path.parent.resolve().parent == (tmp_path / "build").resolve()


@pytest.mark.parametrize("name", ["CON", "nul", "Aux", "com1", "LPT9", "com¹"])
def test_names_that_windows_keeps_are_avoided(name):
    assert save("clustering", f"{name}.jpg", ".png", b"").name == f"_{name}.png"
    assert save("clustering", f"{name}.jpg", "-8.png", b"").name == f"{name}-8.png"
    assert save("clustering", f"{name}sole.jpg", ".png", b"").name == f"{name}sole.png"


@pytest.mark.parametrize("name", ["Café", "Cafe\u0301", "हिन्दी", "写真", "𠀀" * 20])
def test_names_in_any_script_are_kept(name):
    assert save("clustering", f"{name}.jpg", ".png", b"").name == f"{name}.png"


def test_a_long_name_is_cut():
    assert save("clustering", "𠀀" * 300 + ".jpg", "-8.png", b"").name == "𠀀" * 50 + "-8.png"


@pytest.mark.parametrize("at", ["write_bytes", "replace"])
def test_a_full_disk_leaves_the_earlier_result_and_says_where(build, monkeypatch, at):
    path = save("clustering", "photo.jpg", ".png", b"first")

    def full(target, *rest):
        if at == "write_bytes":
            with open(target, "wb") as file:
                file.write(b"ha")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    failed = r"photo\.png: the result could not be written.*No space left"
    with monkeypatch.context() as disk:
        disk.setattr(Path if at == "write_bytes" else os, at, full)
        with pytest.raises(OSError, match=failed):
            save("clustering", "photo.jpg", ".png", b"second")
    assert path.read_bytes() == b"first"
    assert names(build) == ["photo.png"]
    assert save("clustering", "photo.jpg", ".png", b"third") == path


def test_a_file_in_the_folders_place_stays_and_is_named(build):
    build.parent.mkdir()
    build.write_bytes(b"mine")
    with pytest.raises(
        OSError, match=r"build.clustering.photo\.png: the result could not be written"
    ):
        save("clustering", "photo.jpg", ".png", b"new")
    assert build.read_bytes() == b"mine"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root writes anywhere")
def test_a_folder_without_permission_is_named(build):
    build.mkdir(parents=True)
    build.chmod(0o500)
    with pytest.raises(OSError, match=r"photo\.png: the result could not be written.*denied"):
        save("clustering", "photo.jpg", ".png", b"new")


def test_results_that_are_saved_at_once_keep_their_own_content(build):
    def many(i):
        return [(save("clustering", f"{i}", ".txt", f"{i} {j}"), f"{i} {j}") for j in range(20)]

    with ThreadPoolExecutor(4) as threads:
        saved = dict(pair for pairs in threads.map(many, range(4)) for pair in pairs)
    assert {path: path.read_text() for path in saved} == saved
    assert names(build) == ["0.txt", "1.txt", "2.txt", "3.txt"]


def test_what_json_has_not_is_refused_before_anything_is_written(build):
    with pytest.raises(ValueError, match="JSON"):
        results.save("clustering", "a.jpg", "-palette.json", {"share": float("nan")})
    assert not build.exists()
