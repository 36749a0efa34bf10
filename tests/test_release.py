"""A release: the version stands in one place, and all that leads to the project leads to it."""

import re
import shutil

import pytest

from tools import readme, release
from tools.notebooks import load
from tools.project import ADDRESS, NOTEBOOKS, PROJECT, ROOT

OWNER = ADDRESS.removeprefix("https://github.com/")
LINKS = rf"{OWNER}/(?:blob/)?(main|v\d[\d.]*)(?=[/?])"  # to one state of the repository


def test_notebooks_and_links_lead_to_the_same_state():
    """Which is the release that pyproject.toml names, or what is newest."""
    (state,) = {readme.release(load(path)) for path in NOTEBOOKS}
    assert state in {"main", f"v{PROJECT['version']}"}
    table = (ROOT / "README.md").read_text(encoding="utf-8")
    table = table.partition("<!-- notebooks:start -->")[2].partition("<!-- notebooks:end -->")[0]
    assert re.findall(LINKS, table) == [state] * 3 * len(NOTEBOOKS)


def test_the_site_leads_to_what_the_notebooks_name():
    settings = (ROOT / "docs" / "conf.py").read_text(encoding="utf-8")
    assert '"repository_branch": readme.release(load(NOTEBOOKS[0]))' in settings


@pytest.fixture
def copy(tmp_path, monkeypatch):
    """A copy of what a release changes, whose changelog has a version 9.8.7."""
    copied = ["pyproject.toml", "CITATION.cff", "README.md", "CHANGELOG.md", "requirements.txt"]
    for name in [*copied, *(path.relative_to(ROOT) for path in NOTEBOOKS)]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    shutil.copytree(ROOT / "common", tmp_path / "common")
    with (tmp_path / "CHANGELOG.md").open("a", encoding="utf-8") as file:
        file.write("\n## 9.8.7 - today\n")
    for module in (release, readme):
        monkeypatch.setattr(module, "ROOT", tmp_path)
        monkeypatch.setattr(
            module, "NOTEBOOKS", [tmp_path / path.relative_to(ROOT) for path in NOTEBOOKS]
        )
    for path in release.NOTEBOOKS:  # as after a refresh
        text = path.read_text(encoding="utf-8")
        stored = load(path)["metadata"]["fingerprint"]
        new = text.replace(stored, release.fingerprint(load(path), path.parent))
        path.write_text(new, encoding="utf-8")
    readme.renew()
    return tmp_path


def state(folder) -> dict:
    return {p: p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_a_release_is_named_everywhere_and_main_is_back_after_it(copy):
    release.main("main")  # wherever the checkout stands
    before = state(copy)
    release.main("9.8.7")
    during = state(copy)
    assert '\nversion = "9.8.7"\n' in (copy / "pyproject.toml").read_text(encoding="utf-8")
    assert "\nversion: 9.8.7\n" in (copy / "CITATION.cff").read_text(encoding="utf-8")
    links = re.findall(LINKS, (copy / "README.md").read_text(encoding="utf-8"))
    assert links == ["v9.8.7"] * 3 * len(NOTEBOOKS)
    for path in release.NOTEBOOKS:
        book = load(path)
        assert readme.release(book) == "v9.8.7"
        # The stored outputs are as true as before.
        assert book["metadata"]["fingerprint"] == release.fingerprint(book, path.parent)
    release.main("main")
    after = state(copy)
    changed = {path.name for path in after if after[path] != before[path]}
    assert changed == {"pyproject.toml", "CITATION.cff"}  # the version of the last release stays
    assert {path.name for path in during if during[path] != after[path]} == {
        "README.md",
        *(path.name for path in NOTEBOOKS),
    }


def test_stale_outputs_stay_stale(copy):
    path = release.NOTEBOOKS[0]
    fresh = load(path)["metadata"]["fingerprint"]
    path.write_text(path.read_text(encoding="utf-8").replace(fresh, "0" * 64), encoding="utf-8")
    release.main("9.8.7")
    assert load(path)["metadata"]["fingerprint"] == "0" * 64


@pytest.mark.parametrize(
    ("version", "said"),
    [
        ("v9.8.7", "version: expected X.Y.Z or main, got 'v9.8.7'"),
        ("9.8", "version: expected X.Y.Z or main"),
        ("master", "version: expected X.Y.Z or main"),
        ("9.8.8", "CHANGELOG.md: expected a section 9.8.8, got none"),
    ],
)
def test_what_is_no_version_or_not_in_the_changelog_changes_nothing(copy, version, said):
    before = state(copy)
    with pytest.raises(ValueError, match=f"^{re.escape(said)}"):
        release.main(version)
    assert state(copy) == before
