"""A repository with the files of this checkout as they are now, committed or not."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tools.project import ADDRESS, PROJECT, ROOT

TAGS = ("v9.9.9", f"v{PROJECT['version']}")


def git(*arguments: str, cwd: Path, config: Path | None = None) -> str:
    """Run git; with `config` in place of all that this machine's user has set."""
    # A hook that runs the tests hands its own repository down in such variables.
    env = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    if config is not None:
        env |= {"GIT_CONFIG_GLOBAL": str(config), "GIT_CONFIG_NOSYSTEM": "1"}
    command = ["git", *arguments]
    return subprocess.run(
        command, cwd=cwd, env=env, check=True, capture_output=True, encoding="utf-8"
    ).stdout


def publish(folder: Path) -> Path:
    """Make the repository in `folder`, which is new: tags, and then a commit more on main."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    copy, config = folder / "repository of ours", folder / "config"
    for name in git("ls-files", "-z", "-co", "--exclude-standard", cwd=ROOT).split("\0"):
        if name and (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, copy / name)
    config.write_text("[user]\nname = test\nemail = test@example.org\n[core]\nautocrlf = false\n")
    git("init", "--quiet", cwd=copy, config=config)
    git("symbolic-ref", "HEAD", "refs/heads/main", cwd=copy, config=config)
    git("add", "--all", "--force", cwd=copy, config=config)
    git("commit", "--quiet", "--message", "as it is now", cwd=copy, config=config)
    for tag in TAGS:
        git("tag", tag, cwd=copy, config=config)
    (copy / "newer.txt").touch()
    git("add", "newer.txt", cwd=copy, config=config)
    git("commit", "--quiet", "--message", "newer than the release", cwd=copy, config=config)
    return copy


def leading_to(published: Path) -> dict[str, str]:
    """Return the variables for which the project's address leads to `published`."""
    return {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.{published.as_uri()}.insteadOf",
        "GIT_CONFIG_VALUE_0": ADDRESS,
    }
