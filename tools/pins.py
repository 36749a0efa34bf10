"""Compile requirements.in to requirements.txt: every package pinned, for all systems.

usage: python -m tools.pins [uv's options]    `--upgrade` for the newest, else pins stay if they can

Needs uv. What only torch's CUDA build asks for on Linux is left out: that build itself names the
exact versions, and nobody else should install gigabytes.
"""

import re
import shutil
import subprocess
import sys

from common.environment import ROOT

CUDA = re.compile(r"^((?:nvidia|cuda)-[\w-]+|triton)==", re.MULTILINE)


def compiled(uv: str, options: list[str]) -> str:
    """Return the compiled file; the one that is there says which versions are kept."""
    command = [uv, "pip", "compile", "requirements.in", "--output-file", "requirements.txt"]
    command += ["--universal", "--python-version", "3.11", "--no-emit-index-url", "--quiet"]
    command += ["--custom-compile-command", "make pins", *options]
    subprocess.run(command, cwd=ROOT, check=True)
    return (ROOT / "requirements.txt").read_text(encoding="utf-8")


def main() -> None:
    """Compile twice: first to see what CUDA brings, then without it."""
    uv = shutil.which("uv")
    if not uv:
        sys.exit("make pins needs uv: pip install uv, or see its documentation")
    options = sys.argv[1:]
    for name in CUDA.findall(compiled(uv, options)):
        options += ["--no-emit-package", name]
    compiled(uv, options)


if __name__ == "__main__":
    main()
