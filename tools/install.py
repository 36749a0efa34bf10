"""Install into .venv what the commands need; `make` calls this.

usage: python -m tools.install          makes .venv, with the packages of requirements.txt
       python -m tools.install EXTRA    adds an extra of pyproject.toml, beside those versions

Needs only the standard library, and runs on Python 3.8 too, to say that a newer one is needed.
"""

import os
import re
import shutil
import subprocess
import sys
import threading
import urllib.request
from pathlib import Path

from common.environment import ROOT, findings, settings

VENV = ROOT / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
PINS = ROOT / "requirements.txt"
CPU_INDEX = "https://download.pytorch.org/whl/cpu"


def usable(python: Path) -> bool:
    """Return whether a virtual environment's Python runs, is new enough, and has pip."""
    least = re.findall(r"\d+", settings()["requires-python"])
    code = f"import sys, pip; sys.exit(sys.version_info < ({', '.join(least)}))"
    try:
        return (
            subprocess.run([python, "-c", code], capture_output=True, check=False).returncode == 0
        )
    except OSError:
        return False


def make_environment() -> None:
    """Make .venv, anew where something half-made lies there."""
    if usable(PYTHON):
        return
    right, text = findings()[0]
    if not right:
        sys.exit(f"{text}. Name a newer one: make PYTHON=python3.12 ...")
    if VENV.exists():
        print(f"{VENV} is only half-made, without Python or pip: it is made anew.", flush=True)
    command = [sys.executable, "-m", "venv", "--clear", str(VENV)]
    if subprocess.run(command, check=False).returncode != 0 or not usable(PYTHON):
        sys.exit(
            f"{sys.executable} could not make a virtual environment. On Debian and Ubuntu: "
            "sudo apt install python3-venv, then the same command again."
        )


def answers(address: str, seconds: float = 3, opener=urllib.request.urlopen) -> bool:
    """Return whether an address answers in time; looking up its name counts as well."""
    answered = []

    def ask():
        try:
            with opener(address, timeout=seconds) as reply:
                answered.append(reply.status == 200)
        except Exception:  # no network, a proxy, a certificate, an address that is no address, ...
            pass

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(seconds)
    return answered == [True]


def pip(*arguments: str) -> bool:
    """Install with pip; return whether that went well."""
    command = [PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    env = {**os.environ, "PIP_USER": "0"}  # into .venv, also where that is the user's habit
    return subprocess.run([*command, *arguments], env=env, check=False).returncode == 0


def install(*arguments: str) -> bool:
    """Install with uv where that is installed, else, or where it fails, with pip."""
    uv = shutil.which("uv")
    if uv:
        command = [uv, "pip", "install", "--quiet", "--python", PYTHON]
        if subprocess.run([*command, *arguments], check=False).returncode == 0:
            return True
        print("uv could not install this; pip tries.", flush=True)
    return pip(*arguments)


def install_torch(ask=answers) -> None:
    """Install torch before the rest where the usual way would bring what nobody needs.

    On Linux the usual index has torch with gigabytes of CUDA; PyTorch's own has a CPU build. Where
    uv is to install the rest, pip installs torch all the same: it looks where the user told it to,
    and takes a CPU build that lies there. Whatever fails here is left to what comes next.
    """
    found = re.search(r"^torch==[\w.]+", PINS.read_text(encoding="utf-8"), re.MULTILINE)
    if not found:
        return
    if sys.platform == "linux" and not shutil.which("nvidia-smi"):
        if ask(f"{CPU_INDEX}/torch/"):
            print("No NVIDIA GPU: taking torch's CPU build from PyTorch's own index.", flush=True)
            if pip("--no-deps", "--index-url", CPU_INDEX, found[0]):
                return
        print(
            "PyTorch's own index gives no CPU build: taking torch from the usual one, "
            "which may bring gigabytes of CUDA.",
            flush=True,
        )
    if shutil.which("uv"):
        pip("--constraint", str(PINS), found[0])


def install_extra(extra: str) -> bool:
    """Install an extra, or as much of it as can be; return whether the command can go on."""
    wanted = settings()["optional-dependencies"][extra]
    if install("--constraint", str(PINS), *wanted):
        return True
    if extra != "bench":
        return False
    for one in wanted:  # a peer may need a compiler
        if not install("--constraint", str(PINS), one):
            print(f"{one} cannot be installed here: what needs it will be skipped.", flush=True)
    return True


def main(arguments: list) -> None:
    """Install; exit with a sentence where that is not possible."""
    make_environment()
    print(f"Installing {' '.join(arguments) or PINS.name} into {VENV.name} ...", flush=True)
    if arguments:
        done = install_extra(*arguments)
    else:
        install_torch()
        done = install("--requirement", str(PINS))
    if not done:
        sys.exit("The installation failed, as said above. The same command takes it up again.")


if __name__ == "__main__":
    main(sys.argv[1:])
