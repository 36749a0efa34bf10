"""`make check` and the first cell of the notebooks say what is wrong, and only then fail."""

import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from interpreters import python
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from common import environment
from tools import check
from tools.project import ROOT

GB = 10**9


def lines(capsys) -> list[str]:
    return capsys.readouterr().out.splitlines()


@pytest.fixture
def versions(monkeypatch):
    """Pretend that a dependency is there in another version, or (None) not at all."""
    real, pretended = environment.distributions, {}

    def distributions(name):
        if name not in pretended:
            return real(name=name)
        return [] if pretended[name] is None else [SimpleNamespace(version=pretended[name])]

    monkeypatch.setattr(environment, "distributions", distributions)
    return pretended


# what is found ---------------------------------------------------------------------------------


def test_everything_is_listed_with_version_and_range(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("ML_DATA_DIR", str(tmp_path))
    monkeypatch.setattr(environment, "ROOT", tmp_path)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    monkeypatch.setattr(environment, "memory", lambda: 5 * GB)
    assert check.main() == 0
    said = lines(capsys)
    assert all(line.startswith("[OK]   ") for line in said)
    for name in ("Python", "numpy", "torch", "pandas", "jupyterlab", "nbval"):
        assert any(f" {name} " in line and "tested >=" in line for line in said), name
    assert any("free disk" in line for line in said)
    assert "[OK]   free memory: 5.0 GB; 1.0 GB are enough" in said
    assert any(line.startswith("[OK]   MNIST: not in ") for line in said)
    assert sys.executable in said[0]  # which Python it is about


def test_nothing_is_said_where_nothing_is_wrong(capsys):
    environment.warn()
    assert lines(capsys) == []


def test_notebooks_and_common_alone_are_enough(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(environment, "ROOT", tmp_path)
    environment.warn()
    assert lines(capsys) == []
    assert environment.settings() == {}


@pytest.mark.parametrize("broken", ["[project]\nname = ", "<<<<<<< HEAD\n", "[project]\n"])
def test_a_broken_pyproject_is_named_in_one_sentence(capsys, monkeypatch, tmp_path, broken):
    (tmp_path / "pyproject.toml").write_text(f'{broken}\nrequires-python = ">=3.11,<3.99"\n')
    monkeypatch.setattr(environment, "ROOT", tmp_path)
    environment.warn()
    assert lines(capsys) == [
        "[FAIL] pyproject.toml is broken: `git checkout pyproject.toml` mends it"
    ]
    assert check.main() == 1


@pytest.mark.parametrize("ending", ["", ".gz"])
@pytest.mark.parametrize("where", ["named", "own"])
def test_mnist_is_looked_for_where_it_is_read(monkeypatch, tmp_path, where, ending):
    monkeypatch.setattr(environment, "ROOT", tmp_path)
    monkeypatch.setenv("ML_DATA_DIR", str(tmp_path / "named"))
    raw = tmp_path / {"named": "named", "own": "data"}[where] / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for part in ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"):
        (raw / f"{part}-ubyte{ending}").touch()
    assert check.mnist() == f"MNIST: in {raw}"


@pytest.mark.parametrize(
    ("named", "first"),
    [(None, "data"), ("", "data"), ("elsewhere", "elsewhere"), ("~", None), ("~/x y", None)],
)
def test_the_data_folders_are_the_named_one_then_the_projects(monkeypatch, tmp_path, named, first):
    monkeypatch.chdir(tmp_path)  # a relative path begins at the project all the same
    if named is None:
        monkeypatch.delenv("ML_DATA_DIR", raising=False)
    else:
        monkeypatch.setenv("ML_DATA_DIR", named)
    found = environment.data_folders()
    expected = ROOT / first if first else Path(named).expanduser()
    assert found[0] == expected
    assert found[-1] == ROOT / "data"
    assert len(found) == len(set(found))


# versions --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ("1.0", "[FAIL] scipy 1.0; tested >="),
        (None, "[FAIL] scipy not installed; tested >="),
    ],
)
def test_a_version_outside_the_range_or_none_fails(capsys, versions, found, said):
    versions["scipy"] = found
    environment.warn()
    (failed,) = lines(capsys)
    assert failed.startswith(said)
    assert check.main() == 1
    failed = [line for line in lines(capsys) if line.startswith("[FAIL]")]
    assert len(failed) == 1
    assert failed[0].startswith(said)


@pytest.mark.parametrize("found", ["2.13.0+cpu", "2.14.0rc1", "2.11", "2.13.0a0+git1234567"])
def test_a_local_build_and_a_release_candidate_count_as_their_version(found):
    assert environment._tested("torch", found, ">=2.11,<3")[0]


numbers = st.lists(st.integers(0, 30), min_size=1, max_size=3)


@given(*[numbers.map(lambda parts: ".".join(map(str, parts)))] * 3, st.sampled_from(["", "+cpu"]))
def test_versions_are_compared_as_packaging_compares_them(found, least, most, local):
    # For packaging 1.2+cpu is newer than 1.2; no range here depends on that.
    tested = f">={least},<{most}"
    expected = SpecifierSet(tested).contains(Version(found + local).public)
    assert environment._tested("torch", found + local, tested)[0] == expected


def test_a_notebook_runs_without_what_only_opens_it(capsys, versions):
    versions |= {"jupyterlab": None, "nbval": "0.1"}
    environment.warn()
    assert lines(capsys) == []
    assert check.main() == 1


def test_a_distribution_without_a_version_is_not_taken_for_one(capsys, monkeypatch, versions):
    versions["scipy"] = "None"
    monkeypatch.setattr(
        environment, "distributions", lambda name: [SimpleNamespace(version=None)]
    )  # what an installation that was cut off leaves
    environment.warn()
    assert "[FAIL] scipy None; tested >=" in capsys.readouterr().out


# disk and memory -------------------------------------------------------------------------------


def test_a_full_disk_and_little_memory_are_said(capsys, monkeypatch):
    usage = shutil.disk_usage(ROOT)._replace(free=10**8)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    monkeypatch.setattr(environment, "memory", lambda: 2e8)
    environment.warn()
    assert lines(capsys) == [
        "[FAIL] free disk: 0.1 GB; 0.2 GB are enough",
        "[FAIL] free memory: 0.2 GB; 1.0 GB are enough",
    ]


@pytest.mark.parametrize(
    ("ready", "gpu", "needed"),
    [(True, False, 0.2), (True, True, 0.2), (False, False, 1.9), (False, True, 7.2)],
)
def test_the_disk_must_hold_what_is_still_to_be_installed(
    monkeypatch, tmp_path, ready, gpu, needed
):
    if ready:
        (tmp_path / ".venv").mkdir()
        (tmp_path / ".venv" / "ready").touch()
    monkeypatch.setattr(check, "ROOT", tmp_path)
    monkeypatch.setattr(shutil, "which", lambda name: "nvidia-smi" if gpu else None)
    assert check.disk() == pytest.approx(needed * GB)


def test_what_the_system_does_not_say_is_no_failure(capsys, monkeypatch):
    monkeypatch.setattr(environment, "memory", lambda: None)
    environment.warn()
    assert lines(capsys) == []
    assert not any("memory" in text for _, text in environment.findings())


def system(folder, files: dict) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"{text}\n", encoding="utf-8")
    return folder


MACHINE = {"proc/meminfo": "MemTotal: 9000000 kB\nMemAvailable:    8000000 kB\nCached: 7 kB"}
GROUPS = "sys/fs/cgroup/"
JOB = f"{GROUPS}slurm/job_1/"
UNLIMITED = {
    f"{GROUPS}memory/memory.limit_in_bytes": 9223372036854771712,
    f"{GROUPS}memory/memory.usage_in_bytes": 10**9,
}


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, None),
        (MACHINE, 8_192_000_000),
        # a container, version 2; then with files that it read, which can be given back
        ({f"{GROUPS}memory.max": 2 * GB, f"{GROUPS}memory.current": GB}, GB),
        (
            {
                f"{GROUPS}memory.max": 2 * GB,
                f"{GROUPS}memory.current": 19 * GB // 10,
                f"{GROUPS}memory.stat": f"anon 5\ninactive_file {GB}\nactive_file 6",
            },
            11 * GB // 10,
        ),
        # without a limit
        ({f"{GROUPS}memory.max": "max", f"{GROUPS}memory.current": GB}, 8_192_000_000),
        (UNLIMITED, 8_192_000_000),
        # a container, version 1, whose own group is its outermost
        (
            {
                "proc/self/cgroup": "12:cpu,cpuacct:/docker/1\n5:memory:/docker/1",
                f"{GROUPS}memory/memory.limit_in_bytes": 2 * GB,
                f"{GROUPS}memory/memory.usage_in_bytes": 15 * GB // 10,
                f"{GROUPS}memory/memory.stat": f"inactive_file 7\ntotal_inactive_file {GB // 10}",
            },
            6 * GB // 10,
        ),
        # a job on a cluster: the limit is that of a group between its own and the outermost
        (
            {
                "proc/self/cgroup": "0::/slurm/job_1/step_0",
                f"{JOB}memory.max": GB,
                f"{JOB}memory.current": GB // 4,
                f"{JOB}step_0/memory.max": "max",
                f"{JOB}step_0/memory.current": GB // 8,
            },
            3 * GB // 4,
        ),
        # used up
        ({f"{GROUPS}memory.max": GB, f"{GROUPS}memory.current": GB}, 0),
    ],
)
def test_the_limit_of_a_container_counts(tmp_path, files, expected):
    root = system(tmp_path, {**MACHINE, **files} if files else {})
    assert environment.memory(root) == expected


def test_a_notebook_in_a_small_container_is_told(capsys, monkeypatch, tmp_path):
    limits = {f"{GROUPS}memory.max": GB, f"{GROUPS}memory.current": GB // 2}
    root, real = system(tmp_path, MACHINE | limits), environment.memory
    monkeypatch.setattr(environment, "memory", lambda: real(root))
    environment.warn()
    assert lines(capsys) == ["[FAIL] free memory: 0.5 GB; 1.0 GB are enough"]


# other Pythons ---------------------------------------------------------------------------------


def run(*command) -> subprocess.CompletedProcess:
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, encoding="utf-8", errors="replace", check=False
    )


def test_the_command_needs_no_package_to_say_that_they_are_missing():
    done = run(sys.executable, "-S", "-m", "tools.check")  # -S: no site-packages, so no NumPy
    assert done.returncode == 1
    assert done.stderr == ""
    assert "[FAIL] numpy not installed; tested >=" in done.stdout
    assert "[OK]   Python 3." in done.stdout
    assert "`make run` or `make test` installs" in done.stdout


@pytest.mark.parametrize("version", ["3.8", "3.9", "3.10"])
def test_on_an_old_python_the_command_says_so_and_stops_there(version):
    done = run(python(version), "-m", "tools.check")
    assert done.returncode == 1
    assert done.stderr == ""
    which, failed = done.stdout.splitlines()
    assert which.startswith("[OK] ")
    assert failed.startswith(f"[FAIL] Python {version}.")
    assert failed.endswith("tested >=3.11")


def test_an_old_python_stops_a_notebook_with_a_sentence(monkeypatch):
    monkeypatch.setattr(sys, "version", "3.10.4 (main)")
    with pytest.raises(RuntimeError, match=r"^Python 3.10.4; tested >=3.11. Open .* newer Python"):
        environment.warn()
    assert len(environment.findings()) == 1


def test_it_says_where_matplotlib_s_list_of_fonts_cannot_be_kept(tmp_path, monkeypatch):
    monkeypatch.setenv("MPLCONFIGDIR", str(tmp_path / "new" / "folder"))
    assert check.fonts() == (True, f"matplotlib's list of fonts: in {tmp_path / 'new' / 'folder'}")
    (tmp_path / "file").touch()
    monkeypatch.setenv("MPLCONFIGDIR", str(tmp_path / "file"))
    right, text = check.fonts()
    assert not right
    assert text.endswith(str(tmp_path / "file"))
    monkeypatch.delenv("MPLCONFIGDIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert str(tmp_path / "cache" / "matplotlib") in check.fonts()[1] or sys.platform != "linux"
