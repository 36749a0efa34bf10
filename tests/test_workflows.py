"""The workflows: least permissions, pinned actions, and commands that exist here."""

import re
import shutil
import subprocess

import pytest
import yaml

from tools.project import ROOT

FOLDER = ROOT / ".github" / "workflows"
FILES = sorted(FOLDER.glob("*.yml"))


def read(file) -> dict:
    found = yaml.safe_load(file.read_text(encoding="utf-8"))
    found["on"] = found.pop(True)  # YAML 1.1 takes the word for a truth value
    return found


WORKFLOWS = {file.stem: read(file) for file in FILES}
JOBS = {
    f"{name}/{job}": body
    for name, found in WORKFLOWS.items()
    for job, body in found["jobs"].items()
}
STEPS = [(name, step) for name, job in JOBS.items() for step in job.get("steps", [])]
COMMANDS = [(name, step["run"]) for name, step in STEPS if "run" in step]


@pytest.mark.parametrize("name", WORKFLOWS)
def test_a_workflow_may_do_nothing_and_each_job_only_what_it_needs(name):
    assert WORKFLOWS[name]["permissions"] == {}
    for job, body in WORKFLOWS[name]["jobs"].items():
        allowed = body["permissions"]
        writes = {scope for scope, access in allowed.items() if access != "read"}
        publishes = (name, job) in {("ci", "site"), ("site", "publish")}
        assert writes == ({"pages", "id-token"} if publishes else set())


def test_no_job_runs_for_ever():
    assert all("timeout-minutes" in job for job in JOBS.values() if "uses" not in job)


def test_actions_are_pinned_by_commit_and_named_by_version_the_same_everywhere():
    pinned = {}
    for file in FILES:
        for action, rest in re.findall(r"uses: (\S+)(.*)", file.read_text(encoding="utf-8")):
            if action.startswith("./"):
                assert (ROOT / action).exists()
                continue
            name, commit = action.split("@")
            assert re.fullmatch(r"[0-9a-f]{40}", commit), action
            assert re.fullmatch(r"  # v\d+\.\d+\.\d+", rest), action
            assert pinned.setdefault(name, (commit, rest)) == (commit, rest)
    assert "actions/checkout" in pinned


def test_no_checkout_leaves_its_token_behind():
    checkouts = [step for _, step in STEPS if step.get("uses", "").startswith("actions/checkout@")]
    assert len(checkouts) >= 5
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)


def test_the_site_is_published_only_after_all_tests_of_what_was_pushed():
    ci = WORKFLOWS["ci"]["jobs"]
    assert set(ci["site"]["needs"]) == set(ci) - {"site"}
    assert ci["site"]["if"] == "github.event_name == 'push'"
    assert WORKFLOWS["ci"]["on"]["push"] == {"branches": ["main"]}
    assert set(WORKFLOWS["site"]["on"]) == {"workflow_call"}  # nothing else starts it
    users = [name for name, job in JOBS.items() if "site.yml" in job.get("uses", "")]
    assert users == ["ci/site"]
    deploying = {name for name, step in STEPS if "deploy-pages" in step.get("uses", "")}
    assert deploying == {"site/publish"}


def test_all_systems_and_pythons_are_tested_with_the_oldest_and_the_newest():
    matrix = WORKFLOWS["ci"]["jobs"]["ranges"]["strategy"]["matrix"]
    rows = {
        (system, python, versions)
        for system in matrix["os"]
        for python in matrix["python"]
        for versions in matrix["versions"]
    } | {(row["os"], row["python"], row["versions"]) for row in matrix["include"]}
    assert {python for _, python, _ in rows} == {"3.11", "3.12", "3.13", "3.14"}
    assert {system.split("-")[0] for system, _, _ in rows} == {"ubuntu", "macos", "windows"}
    assert all((system, python, "newest") in rows for system, python, _ in rows)
    assert all((system, python, "oldest") in rows for system, python, _ in rows)


def test_every_week_the_newest_of_everything_and_the_links():
    weekly = WORKFLOWS["weekly"]
    assert "schedule" in weekly["on"]
    assert set(weekly["jobs"]) == {"newest", "links"}
    assert ("weekly/links", "python -m tools.links") in COMMANDS


@pytest.mark.parametrize(("name", "command"), COMMANDS, ids=[name for name, _ in COMMANDS])
def test_a_command_is_sound_and_what_it_names_exists(name, command):
    # A value that GitHub fills in could end the quotes: such values come through `env`.
    assert "${{" not in command
    if shutil.which("bash"):
        subprocess.run(["bash", "-n"], input=command, text=True, check=True)
    for module in re.findall(r"python -m ((?:tools|benchmarks|common)[\w.]*)", command):
        assert (ROOT / f"{module.replace('.', '/')}.py").exists()
    for file in re.findall(r"(?:tests|\.ci)/[\w./]+", command):
        assert (ROOT / file).exists(), file
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"\bmake ([a-z-]+)", command):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_dependabot_moves_actions_and_pins_in_one_request_each_week():
    found = yaml.safe_load((ROOT / ".github" / "dependabot.yml").read_text(encoding="utf-8"))
    assert found["version"] == 2
    updates = {update["package-ecosystem"]: update for update in found["updates"]}
    assert set(updates) == {"github-actions", "uv"}
    for update in updates.values():
        assert update["directory"] == "/"
        assert update["schedule"]["interval"] == "weekly"
        assert update["cooldown"]["default-days"] >= 7
        (group,) = update["groups"].values()
        assert group["patterns"] == ["*"]
