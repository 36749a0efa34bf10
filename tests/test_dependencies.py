"""Ranges, pins and what they are for agree; what is installed is what is pinned."""

import os
import re
import shutil
import subprocess
import sys
import zipfile

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tools import install, pins
from tools.project import PROJECT, ROOT


def lines(name: str) -> list[str]:
    text = (ROOT / name).read_text(encoding="utf-8")
    return [line for line in text.splitlines() if line.strip() and line.strip()[0] != "#"]


def requirements(texts) -> dict[str, Requirement]:
    found = [Requirement(text.partition("  #")[0].strip()) for text in texts]
    assert len({r.name for r in found}) == len(found)
    return {r.name: r for r in found}


RANGES = requirements(PROJECT["dependencies"])
TESTS = requirements(PROJECT["optional-dependencies"]["test"])
PINS = [Requirement(line) for line in lines("requirements.txt")]


def conda() -> dict[str, Requirement]:
    specs = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))["dependencies"]
    specs = [spec.replace(" cpu*", "").replace("pytorch ", "torch ") for spec in specs]
    return requirements(spec for spec in specs if not spec.startswith("python="))


def specifiers(found: dict[str, Requirement]) -> dict:
    return {name: r.specifier for name, r in found.items()}


def test_the_ranges_are_the_same_in_all_three_files():
    assert specifiers(conda()) == specifiers(RANGES)
    direct = requirements(lines("requirements.in"))
    assert specifiers(direct) == specifiers({**RANGES, **TESTS})


def test_ranges_are_what_the_first_cell_can_compare():
    for r in RANGES.values():
        assert sorted(s.operator for s in r.specifier) == ["<", ">="], r
        assert all(re.fullmatch(r"[\d.]+", s.version) for s in r.specifier), r
    assert re.fullmatch(r">=3\.\d+", PROJECT["requires-python"])


def test_conda_gets_python_as_repo2docker_reads_it_and_torch_for_the_cpu():
    text = (ROOT / "environment.yml").read_text(encoding="utf-8")
    specs = yaml.safe_load(text)["dependencies"]
    assert "python=3.11" in specs
    assert PROJECT["requires-python"] == ">=3.11"
    assert [s for s in specs if s.startswith("pytorch ") and s.endswith(" cpu*")]


def test_every_dependency_says_what_it_is_for():
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    extras = sum(map(len, PROJECT["optional-dependencies"].values()))
    found = re.findall(r'^    "[a-z0-9-]+[>=]=.*$', text, flags=re.MULTILINE)
    assert len(found) == len(RANGES) + extras
    reasons = [line.partition("  # ")[2] for line in [*found, *lines("requirements.in")]]
    assert all(reasons)


# pins ------------------------------------------------------------------------------------------


def test_every_pin_is_exact():
    for pin in PINS:
        (specifier,) = pin.specifier
        assert specifier.operator == "==", pin
        assert "*" not in specifier.version, pin
        assert not pin.extras, pin  # pip allows none in a file of constraints
        assert pin.url is None, pin


def test_every_direct_dependency_is_pinned_inside_its_range():
    for name, wanted in {**RANGES, **TESTS}.items():
        pinned = [pin for pin in PINS if pin.name == name]
        assert pinned, name
        for pin in pinned:  # several where systems or Pythons differ
            (specifier,) = pin.specifier
            assert specifier.version in wanted.specifier, pin


def test_all_that_the_pinned_packages_need_is_pinned():
    """As installed here, where another version needs nothing else."""
    from importlib.metadata import PackageNotFoundError, requires

    names = {canonicalize_name(pin.name) for pin in PINS}
    missing = set()
    for pin in PINS:
        try:
            needed = map(Requirement, requires(pin.name) or [])
        except PackageNotFoundError:  # for another system
            continue
        here = [r for r in needed if r.marker is None or r.marker.evaluate({"extra": ""})]
        missing |= {canonicalize_name(r.name) for r in here} - names
    assert {name for name in missing if not pins.CUDA.match(f"{name}==")} <= {"setuptools"}


def test_nothing_of_cuda_and_of_one_machine_is_in_the_pins():
    text = "\n".join(lines("requirements.txt"))
    assert pins.CUDA.findall(text) == []
    assert not re.search("nvidia|cuda|triton", text)
    whole = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    assert "make pins" in whole.splitlines()[1]
    assert not re.search(r"://|--|file:|/tmp|/home|\.whl", whole)


def test_the_names_of_cuda_are_recognised_and_no_others():
    text = "nvidia-nccl-cu13==2\ncuda-toolkit==13\ntriton==3 ; x\nbarracuda==1\n# nvidia-x==1\n"
    assert pins.CUDA.findall(text) == ["nvidia-nccl-cu13", "cuda-toolkit", "triton"]


def test_pins_without_uv_says_what_is_missing(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(SystemExit, match="make pins needs uv"):
        pins.main()


# wheels and a real installation ----------------------------------------------------------------


def test_no_wheel_installs_a_module(tmp_path):
    """A package called `common` would hide, or be hidden by, somebody else's."""
    pytest.importorskip("setuptools")
    for name in ["pyproject.toml", "README.md", "LICENSE"]:
        shutil.copy(ROOT / name, tmp_path)
    for room in ["common", "tools", "benchmarks", "tests", "regression"]:
        (tmp_path / room).mkdir()
        (tmp_path / room / "__init__.py").touch()
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-index"]
    command += ["--no-build-isolation", "--wheel-dir", str(tmp_path), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    if done.returncode and re.search("No module named pip|setuptools|bdist_wheel", done.stderr):
        pytest.skip(f"no wheel can be built here: {done.stderr.splitlines()[-1]}")
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert names
    assert all(name.split("/")[0].endswith(".dist-info") for name in names)


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt" or shutil.which("make") is None, reason="needs make")
def test_an_installation_from_nothing_is_whole_and_pinned(tmp_path, request):
    if not install.answers("https://pypi.org/simple/pip/"):
        pytest.skip("no network")
    # It takes more than a gigabyte, which pytest would keep.
    request.addfinalizer(lambda: shutil.rmtree(tmp_path, ignore_errors=True))
    project = tmp_path / "a b ü"
    for room in ["common", "tools"]:
        shutil.copytree(ROOT / room, project / room)
    for name in ["Makefile", "pyproject.toml", "requirements.txt"]:
        shutil.copy(ROOT / name, project)
    env = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS"))}

    def run(*command):
        done = subprocess.run(
            command, cwd=project, env=env, capture_output=True, encoding="utf-8", check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    run("make", ".venv/ready", f"PYTHON={sys.executable}")
    assert "[FAIL]" not in run("make", "check")
    listed = run(project / ".venv" / "bin" / "python", "-m", "pip", "list", "--format=freeze")
    installed = dict(line.split("==") for line in listed.splitlines() if "==" in line)
    pinned = {(canonicalize_name(p.name), next(iter(p.specifier)).version) for p in PINS}
    found = {(canonicalize_name(name), v.split("+")[0]) for name, v in installed.items()}
    others = {name for name, _ in found - pinned if not pins.CUDA.match(f"{name}==")}
    assert others <= {"pip", "setuptools"}  # which come with Python
