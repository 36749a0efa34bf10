"""Binder: what repo2docker makes of the repository."""

import pytest

from tools.project import ROOT


@pytest.mark.lab
def test_binder_builds_with_conda_and_the_python_that_is_tested(monkeypatch):
    buildpacks = pytest.importorskip("repo2docker.buildpacks", reason="`make test-lab` installs it")
    app = pytest.importorskip("repo2docker.app")
    monkeypatch.chdir(ROOT)
    base = app.Repo2Docker().base_image
    chosen = next(
        pack for pack in (make(base) for make in app.Repo2Docker().buildpacks) if pack.detect()
    )
    assert type(chosen) is buildpacks.CondaBuildPack
    assert chosen.python_version == "3.11"
