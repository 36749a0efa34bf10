"""`make` on real machines, with stand-ins for Python, pip and uv: no network, nothing installed."""

import json
import os
import shutil
import subprocess
import sys
import threading
from types import SimpleNamespace

import pytest
from hypothesis import example, given
from hypothesis import settings as profile
from hypothesis import strategies as st
from interpreters import python

from tools import install
from tools.project import ROOT

pytestmark = pytest.mark.skipif(
    os.name == "nt" or shutil.which("make") is None, reason="needs make and a shell"
)
NEEDED = ["Makefile", "pyproject.toml", "common/__init__.py", "common/environment.py"]
NEEDED += ["tools/__init__.py", "tools/check.py", "tools/install.py"]
# Logs how it was called, then fails if it was told to.
LOGGER = """
import json, os, sys, time
log = os.environ["LOG"]
what = {name: os.environ.get(name) for name in ("PIP_USER", "PYTHONIOENCODING")}
def say(*words):
    with open(log, "a", encoding="utf-8") as file:
        file.write(json.dumps(words) + "\\n")
say("start", sys.argv[1:], what)
time.sleep(float(os.environ.get("WAIT", 0)))
say("end", sys.argv[1:])
print(os.environ.get("SAY", ""))
sys.exit(any(word in sys.argv for word in os.environ.get("FAILS", "").split()))
"""


def stand_in(file) -> None:
    """Write a program that logs how it is called."""
    file.parent.mkdir(parents=True, exist_ok=True)
    script = file.parent / "logger.py"
    script.write_text(LOGGER, encoding="utf-8")
    file.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{script}" "$@"\n', encoding="utf-8")
    file.chmod(0o755)


class Project:
    """A copy of what `make` needs, in a folder whose name is no simple word."""

    def __init__(self, folder):
        self.folder, self.log = folder / "a b ü λ's", folder / "log"
        for name in NEEDED:
            (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, self.folder / name)
        (self.folder / "requirements.txt").write_text("# nothing\n")
        self.venv = self.folder / ".venv"
        self.python = self.venv / "bin" / "python"

    def make_ready(self):
        stand_in(self.python)
        (self.venv / "ready").touch()

    def run(self, *command, **env) -> subprocess.CompletedProcess:
        self.log.unlink(missing_ok=True)
        # A make that runs these tests hands its own options and variables down.
        kept = {
            k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS", "PYTHON"))
        }
        done = subprocess.run(
            [*map(str, command)],
            cwd=self.folder,
            env={**kept, "PYTHON": sys.executable, "LOG": str(self.log), **env},
            capture_output=True,
            check=False,
        )
        done.stdout, done.stderr = done.stdout.decode("cp1252", "replace"), done.stderr.decode()
        return done

    def calls(self, kind="start") -> list:
        if not self.log.exists():
            return []
        lines = map(json.loads, self.log.read_text(encoding="utf-8").splitlines())
        return [line[1] for line in lines if line[0] == kind and line[1][:1] != ["-c"]]


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path)


@pytest.fixture(scope="module")
def ready(tmp_path_factory):
    project = Project(tmp_path_factory.mktemp("ready"))
    project.make_ready()
    return project


# the reader's own data -------------------------------------------------------------------------

awkward = st.text(st.sampled_from("'\"\\$#()=;~*&|<>`+:%!?{}[], \tüλ日aHOME"), min_size=1)


@given(value=awkward)
@example("~/my holiday.jpg")
@example('{"Toy Story (1995)": 5, "It\'s $HOME": 4}')
@example("$(shell touch evil) `touch evil` $$ \\")
@profile(max_examples=30)
def test_a_value_reaches_the_command_as_it_was_given(ready, value):
    done = ready.run("make", "run", f"ME={value}")
    assert done.returncode == 0, done.stderr
    # make itself leaves out the blanks before a value.
    assert ready.calls() == [["-m", "tools.execute", "run", f"ME={value.lstrip()}"]]
    assert not (ready.folder / "evil").exists()


def test_every_parameter_is_passed_on_and_nothing_else(ready):
    names = ["MY_TABLE", "MY_TARGET", "DIGITS", "MY_DIGIT", "MY_PHOTO", "K", "MY_RATINGS", "ME"]
    given = [f"{name}=x {i}" for i, name in enumerate(names)]
    ready.run("make", "run", *given, "BENCH=--quick", "ML_DATA_DIR=/x")
    ((*command, _), *rest) = [[*call[:3], call] for call in ready.calls()]
    assert rest == []
    assert command == ["-m", "tools.execute", "run"]
    assert sorted(ready.calls()[0][3:]) == sorted(given)


def test_a_misspelt_name_is_passed_on_to_be_refused(ready):
    ready.run("make", "run", "MY_FOTO=x.jpg")
    assert ready.calls()[0][-1] == "MY_FOTO=x.jpg"


def test_variables_of_the_environment_do_not_count(ready):
    ready.run("make", "run", K="5", ME="me", MY_PHOTO="x.jpg")
    assert ready.calls() == [["-m", "tools.execute", "run"]]


# commands --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "command"),
    [
        ("test-slow", ["-m", "pytest", "-m", "slow", "tests"]),
        ("test-colab", ["-m", "pytest", "-m", "colab", "-n", "2", "tests/test_colab.py"]),
        ("refresh", ["-m", "tools.refresh"]),
        ("check", ["-m", "tools.check"]),
    ],
)
def test_a_target_runs_its_command_in_the_environment(ready, target, command):
    assert ready.run("make", target).returncode == 0
    assert ready.calls() == [command]


def test_what_ci_runs_includes_the_slow_tests():
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    assert script[-2:] == ["make test", "make test-slow"]


@pytest.mark.parametrize("target", ["run", "bench"])
@pytest.mark.parametrize("encoding", ["cp1252", "ascii"])
def test_a_console_that_lacks_letters_breaks_no_command(project, target, encoding):
    project.make_ready()
    (project.venv / "bench").touch()
    done = project.run("make", target, SAY="λ ≤ 日 ✓ ü", PYTHONIOENCODING=encoding)
    assert done.returncode == 0, done.stderr
    assert "? ? ? ?" in done.stdout


def test_check_prints_a_path_that_the_console_cannot_show(project):
    """The folder's name has a λ; nothing is installed, so that the Python is the one named."""
    done = project.run("make", "check", PYTHONIOENCODING="cp1252", ML_DATA_DIR="λ")
    assert "Traceback" not in done.stderr
    assert "MNIST: not in " in done.stdout


# an environment --------------------------------------------------------------------------------


def test_two_targets_at_once_install_once_and_one_after_the_other(project):
    stand_in(project.python)
    done = project.run("make", "-j4", "run", "bench", "site", "test-lab", WAIT="0.1")
    assert done.returncode == 0, done.stderr
    kinds = [json.loads(line)[0] for line in project.log.read_text().splitlines()]
    assert kinds == ["start", "end"] * (len(kinds) // 2)  # never two of them at once
    installed = [call[2:] for call in project.calls() if call[1] == "tools.install"]
    assert sorted(installed) == [["bench"], ["lab"], ["site"]]
    assert sum(call[:3] == ["-m", "pip", "install"] for call in project.calls()) == 1


def test_what_is_installed_is_not_installed_again_until_the_pins_change(project):
    project.make_ready()
    project.run("make", "refresh")
    assert len(project.calls()) == 1
    newer = (project.venv / "ready").stat().st_mtime + 5
    os.utime(project.folder / "requirements.txt", (newer, newer))
    project.run("make", "refresh")
    assert ["-m", "pip", "install"] in [call[:3] for call in project.calls()]


@pytest.mark.parametrize("state", ["nothing", "without pip", "without Python", "broken link"])
def test_a_half_made_environment_is_not_usable(project, monkeypatch, state):
    if state == "without pip":  # what Debian leaves that lacks python3-venv
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", project.venv], check=True)
    elif state != "nothing":
        project.python.parent.mkdir(parents=True)
    if state == "broken link":  # where a newer Python has taken the place of the older
        project.python.symlink_to(project.folder / "gone")
    assert not install.usable(project.python)


def test_a_half_made_environment_is_made_anew_and_its_marks_go(project):
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", project.venv], check=True)
    (project.venv / "site").touch()
    done = project.run("make", ".venv/ready")
    assert done.returncode == 0, done.stderr
    assert "only half-made, without Python or pip: it is made anew." in done.stdout
    assert install.usable(project.python)
    assert (project.venv / "ready").exists()
    assert not (project.venv / "site").exists()


def test_an_environment_whose_python_has_gone_is_no_longer_ready(project):
    project.make_ready()
    project.python.unlink()
    done = project.run("make", "-n", "run")
    assert "-m tools.install" in done.stdout


def test_where_no_environment_can_be_made_debian_is_told_what_to_install(project, monkeypatch):
    broken = project.folder / "python"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setattr(install, "VENV", project.venv)
    monkeypatch.setattr(install, "PYTHON", project.python)
    monkeypatch.setattr(sys, "executable", str(broken))
    with pytest.raises(SystemExit, match="sudo apt install python3-venv"):
        install.make_environment()


@pytest.mark.parametrize("version", ["3.8", "3.10"])
def test_an_old_python_is_named_before_anything_is_made(project, version):
    done = project.run("make", "run", f"PYTHON={python(version)}")
    assert done.returncode != 0
    assert f"Python {version}." in done.stderr
    assert "make PYTHON=" in done.stderr
    assert not project.venv.exists()


# pip and uv ------------------------------------------------------------------------------------


@pytest.fixture
def machine(project, monkeypatch):
    """A Linux machine with a stand-in for the environment's Python, and no other program."""
    project.make_ready()
    programs = project.folder / "programs"
    programs.mkdir()
    (project.folder / "requirements.txt").write_text("numpy==2.4.6\ntorch==2.13.0\n    # via x\n")
    monkeypatch.setattr(install, "PYTHON", project.python)
    monkeypatch.setattr(install, "PINS", project.folder / "requirements.txt")
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("LOG", str(project.log))
    monkeypatch.setenv("PATH", str(programs))

    def add(name):
        stand_in(programs / name)

    def calls():
        """What pip and uv were called with, without what does not matter."""
        dull = {"-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--python"}
        dull.add(str(project.python))
        return [[word for word in call if word not in dull] for call in project.calls()]

    # The stand-ins are shell scripts.
    monkeypatch.setattr(install.shutil, "which", lambda name: found(programs, name))
    return SimpleNamespace(add=add, calls=calls, pins=str(project.folder / "requirements.txt"))


def found(folder, name):
    return str(folder / name) if (folder / name).exists() else None


def test_without_a_gpu_torch_comes_from_pytorchs_own_index(machine, capsys):
    asked = []
    install.install_torch(lambda address: asked.append(address) or True)
    assert asked == [f"{install.CPU_INDEX}/torch/"]
    assert machine.calls() == [["--no-deps", "--index-url", install.CPU_INDEX, "torch==2.13.0"]]
    (said,) = capsys.readouterr().out.splitlines()
    assert said == "No NVIDIA GPU: taking torch's CPU build from PyTorch's own index."


def test_where_that_does_not_answer_all_is_as_before(machine, capsys):
    install.install_torch(lambda address: False)
    assert machine.calls() == []
    (said,) = capsys.readouterr().out.splitlines()
    assert said.startswith("PyTorch's own index gives no CPU build: taking torch from the usual")


def test_an_index_that_answers_without_the_pinned_torch_stops_nothing(machine, capsys, monkeypatch):
    monkeypatch.setenv("FAILS", install.CPU_INDEX)
    install.install_torch(lambda address: True)
    assert len(machine.calls()) == 1
    assert "the usual one" in capsys.readouterr().out


@pytest.mark.parametrize("system", ["linux", "darwin", "win32"])
def test_with_a_gpu_or_another_system_nobody_is_asked(machine, capsys, monkeypatch, system):
    if system == "linux":
        machine.add("nvidia-smi")
    monkeypatch.setattr(sys, "platform", system)
    install.install_torch(lambda address: pytest.fail("asked"))
    assert machine.calls() == []
    assert capsys.readouterr().out == ""


def test_beside_uv_pip_still_installs_torch(machine):
    """It looks where its settings say; uv would take the build with CUDA."""
    machine.add("uv")
    install.install_torch(lambda address: False)
    assert machine.calls() == [["--constraint", machine.pins, "torch==2.13.0"]]


def test_uv_installs_the_rest_and_pip_where_uv_is_not_or_fails(machine, monkeypatch):
    assert install.install("numpy")
    assert machine.calls() == [["numpy"]]
    machine.add("uv")
    assert install.install("scipy")
    assert machine.calls()[1:] == [["scipy"]]
    monkeypatch.setenv("FAILS", "--python")  # which only uv is told
    assert install.install("scipy")
    assert machine.calls()[2:] == [["scipy"], ["scipy"]]
    monkeypatch.setenv("FAILS", "scipy")
    assert not install.install("scipy")


def test_the_habit_of_installing_for_one_user_does_not_count(machine, project, monkeypatch):
    monkeypatch.setenv("PIP_USER", "1")
    install.install("numpy")
    (what,) = [json.loads(line)[2] for line in project.log.read_text().splitlines()[:1]]
    assert what["PIP_USER"] == "0"


def test_an_extra_comes_beside_the_pinned_versions(machine):
    wanted = install.settings()["optional-dependencies"]["site"]
    assert install.install_extra("site")
    assert machine.calls() == [["--constraint", machine.pins, *wanted]]


def test_a_peer_that_cannot_be_installed_is_named_and_the_others_are(machine, monkeypatch, capsys):
    wanted = install.settings()["optional-dependencies"]["bench"]
    (failing,) = [one for one in wanted if one.startswith("scikit-surprise")]
    monkeypatch.setenv("FAILS", failing)
    assert install.install_extra("bench")
    assert [call[2:] for call in machine.calls()] == [wanted, *[[one] for one in wanted]]
    assert f"{failing} cannot be installed here" in capsys.readouterr().out
    monkeypatch.setenv("FAILS", "--constraint")
    assert not install.install_extra("site")


def test_a_failed_installation_is_not_ready_and_is_taken_up_again(project):
    stand_in(project.python)
    done = project.run("make", ".venv/ready", FAILS="--requirement")
    assert done.returncode != 0
    assert "The same command takes it up again." in done.stderr
    assert not (project.venv / "ready").exists()
    assert project.run("make", ".venv/ready").returncode == 0


class Reply:
    """What an opener gives."""

    def __init__(self, status):
        self.status = status

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


@pytest.mark.parametrize(("status", "expected"), [(200, True), (403, False), (204, False)])
def test_an_index_answers_if_it_has_the_page(status, expected):
    assert install.answers("x:", 60, lambda address, timeout: Reply(status)) == expected


def test_an_index_that_keeps_silent_or_fails_does_not_answer():
    def fails(address, timeout):
        raise ValueError("no address")

    assert not install.answers("x:", 60, fails)
    never = threading.Event()  # the name that nobody resolves: no time-out of a socket ends that
    assert not install.answers("x:", 0.01, lambda address, timeout: never.wait())
    never.set()
