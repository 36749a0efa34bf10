"""Older Pythons, to see that what must speak on them does."""

import os
import shutil
import subprocess

import pytest


def python(version: str) -> str:
    """Return the path of a Python of this version; the test is skipped where none starts."""
    name = shutil.which(f"python{version}")
    command = [name or "", "-c", "import sys; print(sys.executable)"]
    # pyenv starts only what is switched on.
    env = os.environ | {"PYENV_VERSION": version, "PYTHONUTF8": "1"}
    try:
        done = subprocess.run(command, env=env, capture_output=True, encoding="utf-8", check=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip(f"no Python {version} here")
    return done.stdout.strip()
