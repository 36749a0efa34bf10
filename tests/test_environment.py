"""`make check` and the first cell of the notebooks say what is wrong, and only then fail."""

import shutil
import subprocess
import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from common import environment as module
from common.environment import check, warn

ROOT = Path(__file__).parents[1]


def lines(capsys) -> list[str]:
    return capsys.readouterr().out.splitlines()


def test_everything_is_listed_with_version_and_range(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("ML_DATA_DIR", str(tmp_path))
    assert check()
    said = lines(capsys)
    assert all(line.startswith("[OK]   ") for line in said)
    for name in ("Python", "numpy", "torch", "torchvision", "jupyterlab", "nbval"):
        assert any(f" {name} " in line and "tested >=" in line for line in said), name
    assert any("free disk" in line for line in said)
    assert any("free memory" in line for line in said)
    assert any(f"MNIST: not in {tmp_path}" in line for line in said)


def test_nothing_is_said_where_nothing_is_wrong(capsys):
    warn()
    assert lines(capsys) == []


def test_notebooks_and_common_alone_are_enough(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(module, "ROOT", tmp_path)
    warn()
    assert lines(capsys) == []
    assert check()


def test_mnist_is_looked_for_where_it_is_read(capsys, monkeypatch, tmp_path):
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for part in ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"):
        (raw / f"{part}-ubyte").touch()
    monkeypatch.setenv("ML_DATA_DIR", str(tmp_path))
    check()
    assert f"[OK]   MNIST: in {raw}" in lines(capsys)


@pytest.mark.parametrize("say", [check, warn])
@pytest.mark.parametrize(
    ("found", "said"),
    [
        ("1.0", "[FAIL] scipy 1.0; tested >="),
        (None, "[FAIL] scipy is not installed; tested with >="),
    ],
)
def test_a_version_outside_the_range_or_none_fails(capsys, monkeypatch, say, found, said):
    real = module.version

    def version(name):
        if name == "scipy":
            if found is None:
                raise PackageNotFoundError(name)
            return found
        return real(name)

    monkeypatch.setattr(module, "version", version)
    assert not say()
    failed = [line for line in lines(capsys) if line.startswith("[FAIL]")]
    assert len(failed) == 1
    assert failed[0].startswith(said)


def test_a_local_build_and_a_release_candidate_count_as_their_version():
    assert module._dependency("torch", "2.13.0+cpu", ">=2.11,<3")[0]
    assert module._dependency("torch", "2.14.0rc1", ">=2.11,<3")[0]


def test_a_notebook_runs_without_what_only_opens_it(capsys, monkeypatch):
    real = module._installed
    monkeypatch.setattr(
        module, "_installed", lambda name: None if name in module.NOT_IMPORTED else real(name)
    )
    warn()
    assert lines(capsys) == []
    assert not check()


@pytest.mark.parametrize("say", [check, warn])
def test_a_full_disk_and_little_memory_are_said(capsys, monkeypatch, say):
    usage = shutil.disk_usage(ROOT)._replace(free=int(3e8))
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    monkeypatch.setattr(module, "_free_memory", lambda: 2e8)
    assert not say()
    failed = [line for line in lines(capsys) if line.startswith("[FAIL]")]
    assert failed == [
        "[FAIL] free disk: 0.3 GB; 1 GB is enough",
        "[FAIL] free memory: 0.2 GB; 1 GB is enough",
    ]


def test_what_the_system_does_not_say_is_no_failure(capsys, monkeypatch):
    monkeypatch.setattr(module, "_free_memory", lambda: None)
    assert check()


def test_the_command_needs_no_package_to_say_that_they_are_missing():
    command = [sys.executable, "-S", "-m", "common.environment"]  # -S: no site-packages
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    assert "[FAIL] numpy is not installed" in done.stdout
