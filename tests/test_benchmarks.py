"""Side by side with the peers: what counts as a win, what is skipped, what the README may say."""

import json
import os
import re
import subprocess
import sys
import time

import numpy as np
import pytest

from benchmarks import measure, report, run
from benchmarks.measure import Case, Comparison, Growth, Limit, Race
from tools.project import ROOT
from tools.readme import between


def case(**changes) -> Case:
    race = Race(lambda: 1.0, lambda: 1.0, objective=lambda result: result)
    values = {"name": "topic: work", "peer": "numpy", "goal": 1.0, "tolerance": 1e-8}
    values["rated_by"] = "cost"
    return Case(**values | {"build": lambda quick: race} | changes)


def comparison(**changes) -> Comparison:
    values = {
        "name": "topic: work",
        "peer": "numpy",
        "goal": 0.5,
        "tolerance": 1e-3,
        "rated_by": "cost",
        "ours": [1.0, 1.0, 9.0],
        "theirs": [4.0, 5.0, 10.0],
        "objective": 1.0,
        "their_objective": 1.0,
    }
    return Comparison(**values | changes)


def test_both_are_called_in_turns_after_a_warm_up_and_the_textbook_loop_after_that():
    calls = []
    race = Race(
        lambda: calls.append("ours"),
        lambda: calls.append("theirs"),
        objective=lambda result: 1.0,
        naive=lambda: calls.append("naive"),
    )
    result = measure.race(case(build=lambda quick: race), pairs=3)
    assert calls == ["ours", "theirs"] * 4 + ["naive"] * 3  # once if it took long
    assert len(result.ours) == len(result.theirs) == len(result.ratios) == 3
    assert result.naive > 0
    assert result.naive_objective == 1


def test_the_ratio_is_the_median_over_the_pairs():
    result = comparison()
    assert result.ratios == [0.25, 0.2, 0.9]
    assert result.ratio == 0.25
    assert result.verdict == "reached"
    assert comparison(goal=0.2).verdict == "missed"


def test_the_goals_are_those_of_the_whole_sizes():
    assert measure.race(case(goal=1e9)).verdict == "reached"
    assert measure.race(case(goal=1e9), quick=True).verdict == "for reference"


def test_without_a_goal_a_time_is_for_reference_but_a_worse_result_still_not_comparable():
    assert comparison(goal=None).verdict == "for reference"
    assert comparison(goal=None, objective=2.0).verdict == "not comparable"


@pytest.mark.parametrize("objective", [1.002, float("nan"), float("inf")])
def test_a_worse_result_is_not_comparable_however_fast(objective):
    assert comparison(objective=objective, goal=1e9).verdict == "not comparable"


@pytest.mark.parametrize("objective", [1.0005, 1.0, 0.5, -3.0])
def test_a_result_within_the_tolerance_or_better_counts(objective):
    assert comparison(objective=objective).comparable


@pytest.mark.parametrize("objective", [float("nan"), float("inf")])
def test_a_peer_without_a_result_cannot_be_compared_with(objective):
    assert comparison(their_objective=objective).verdict == "not comparable"


def test_a_negative_objective_has_the_same_tolerance():
    assert comparison(objective=-0.9995, their_objective=-1.0).comparable
    assert not comparison(objective=-0.99, their_objective=-1.0).comparable


@pytest.mark.skipif(measure.peak_bytes(lambda: None) is None, reason="the system cannot say")
def test_peak_memory_is_that_of_the_work_whatever_it_frees():
    size = 50_000_000
    kept = np.ones(size // 8)  # what was there before doesn't count
    peak = measure.peak_bytes(lambda: np.ones(size // 8).sum())
    assert 0.9 * size < peak < 1.3 * size
    assert measure.peak_bytes(lambda: None) < 0.1 * size
    assert kept[0] == 1


def test_the_exponent_is_fitted_to_the_upper_half():
    sizes = [10, 100, 1_000, 10_000, 100_000]
    cost = [5, 5, 1_000**1.5, 10_000**1.5, 100_000**1.5]
    assert measure.exponent(sizes, cost) == pytest.approx(1.5)


def test_two_sizes_have_no_exponent_and_three_always_have():
    assert measure.exponent([10, 100], [0.5, 5.0]) is None
    assert measure.exponent([10, 30, 100], [0.1, 0.3, 1.0]) == pytest.approx(1)
    # Only one size is in the upper half, and one of three points would be no fit.
    assert measure.exponent([1, 10, 20, 10_000], [9, 10, 20, 10_000]) == pytest.approx(1)


def test_a_curve_ends_with_the_first_size_that_takes_too_long():
    times, peaks = measure.curve(lambda n: lambda: time.sleep(n / 100), [1, 2, 5, 9], longest=0.04)
    assert len(times) == len(peaks) == 3


@pytest.fixture
def topic(monkeypatch, tmp_path):
    """Let the runner know one small topic of its own, and write beside nothing of ours."""
    module = type(sys)("benchmarks.topic", "Sums against NumPy.\n\nEach starts at zero.\n")
    module.cases = lambda: [case(), case(name="topic: absent", peer="no-such-distribution")]
    module.limits = lambda: [
        Limit("topic: memory", "MB", 2.0, lambda quick: 1.0 if quick else 3.0),
        Limit("topic: unknown", "MB", 2.0, lambda quick: None),
    ]
    module.growths = lambda: [
        Growth(
            "topic: sum",
            "numbers n",
            [10, 100, 1_000, 10_000],
            build=lambda n: np.ones(n).sum,
            build_naive=lambda n: lambda: sum(range(n)),
            peer="numpy",
            build_peer=lambda n: np.ones(n).mean,
        )
    ]
    monkeypatch.setitem(sys.modules, "benchmarks.topic", module)
    monkeypatch.setattr(run, "TOPICS", ("topic",))
    monkeypatch.setattr(measure.gc, "collect", lambda: None)  # slow, with all that the tests import
    for module_with_root in (run, report):
        monkeypatch.setattr(module_with_root, "ROOT", tmp_path)
    monkeypatch.setattr(run, "WHOLE", tmp_path / "build" / "bench")
    monkeypatch.setattr(run, "TRIAL", tmp_path / "build" / "bench-trial")
    monkeypatch.setattr(report, "REPORT", tmp_path / "report")
    return module


def bench(monkeypatch, *arguments) -> dict:
    monkeypatch.setattr(sys, "argv", ["run.py", *arguments])
    run.main()
    folder = run.TRIAL if arguments else run.WHOLE
    return json.loads((folder / "results.json").read_text(encoding="utf-8"))


def test_a_run_measures_everything_and_names_what_it_skipped(topic, monkeypatch, capsys):
    absent = Limit("topic: absent limit", "", 1.0, lambda quick: 1 / 0, "no-such-distribution")
    limits = topic.limits
    topic.limits = lambda: [*limits(), absent]
    results = bench(monkeypatch)
    assert [row["name"] for row in results["comparisons"]] == ["topic: work"]
    assert results["comparisons"][0]["verdict"] in ("reached", "missed")
    assert len(results["comparisons"][0]["ratios"]) == 5
    assert results["peers"] == {"numpy": np.__version__}
    names = [line["name"] for line in results["growths"][0]["lines"]]
    assert names == ["this collection", f"numpy {np.__version__}", "textbook loop"]
    assert (run.WHOLE / "topic-sum.png").read_bytes().startswith(b"\x89PNG")
    printed = capsys.readouterr().out
    for name in ("absent", "absent limit"):
        assert f"Not measured, as no-such-distribution is not installed: topic: {name}." in printed
    assert "Sums against NumPy.\n\nEach starts at zero.\n" in printed
    assert "| memory | 3 MB | 2 MB | missed |" in printed
    assert "| unknown | not measurable here | 2 MB |  |" in printed


def test_a_textbook_loop_that_ends_worse_has_no_ratio():
    row = {"naive": 500.0, "naive_objective": 2.0, "objective": 2.0, "tolerance": 0.0}
    assert report._naive(row, 4.0) == "125 ×"
    assert report._naive(row, 100.0) == "5 ×"
    for worse in (2.1, float("nan")):
        assert report._naive(row | {"naive_objective": worse}, 1.0) == "not comparable"


def test_only_and_quick(topic, monkeypatch, capsys):
    run.WHOLE.mkdir(parents=True)
    results = bench(monkeypatch, "--quick", "--only", "MEMORY")
    assert results["quick"] is True
    assert results["comparisons"] == results["growths"] == []
    assert "| memory | 1 MB | none |  |" in capsys.readouterr().out
    assert list(run.WHOLE.iterdir()) == []  # a trial leaves the last whole measurement alone
    with pytest.raises(SystemExit, match=r"--only nothing.*\n.*topic: work"):
        bench(monkeypatch, "--only", "nothing")


def test_only_a_whole_measurement_is_published(topic, monkeypatch, tmp_path):
    def publish():
        monkeypatch.setattr(sys, "argv", ["run.py", "report"])
        run.main()

    text = "before\n<!-- bench:start -->\nold\n<!-- bench:end -->\nafter\n"
    files = [tmp_path / "README.md", tmp_path / "docs" / "speed.md"]
    files[1].parent.mkdir()
    for file in files:
        file.write_text(text, encoding="utf-8")
    with pytest.raises(SystemExit, match="make bench"):
        publish()
    for arguments in ([], ["--quick"], ["--only", "work"]):  # the first one skips a peer
        bench(monkeypatch, *arguments)
        with pytest.raises(SystemExit, match="whole"):
            publish()
    topic.cases = lambda: [case()]
    monkeypatch.setattr(run, "_commit", lambda: "abc-dirty")
    bench(monkeypatch)
    with pytest.raises(SystemExit, match="commit first"):
        publish()
    assert {file.read_text(encoding="utf-8") for file in files} == {text}
    assert not report.REPORT.exists()
    monkeypatch.setattr(run, "_commit", lambda: "abc")
    results = bench(monkeypatch)
    report.REPORT.mkdir()
    (report.REPORT / "gone.png").touch()  # a curve that is no longer drawn
    (report.REPORT / "notes.txt").touch()
    (report.REPORT / "scale.png").touch()
    publish()
    for file, new in report.pages(results).items():
        written = (tmp_path / file).read_text(encoding="utf-8")
        assert written == between(text, "bench", new)
    assert "](../benchmarks/report/topic-sum.png)" in files[1].read_text(encoding="utf-8")
    stored = {file.name for file in report.REPORT.iterdir()}
    assert stored == {"results.json", "topic-sum.png", "notes.txt", "scale.png"}
    assert json.loads((report.REPORT / "results.json").read_text(encoding="utf-8")) == results
    # Without a new measurement the stored one is published again, in today's words.
    (run.WHOLE / "results.json").unlink()
    files[0].write_text(text, encoding="utf-8")
    publish()
    assert report.summary(results) in files[0].read_text(encoding="utf-8")


def test_the_summary_names_the_least_and_the_greatest_ratio_of_races_that_can_be_compared():
    def row(name, ratio, verdict):
        row = {"name": f"sums: {name}", "peer": "them", "ratio": ratio, "verdict": verdict}
        return row | {"comparable": verdict != "not comparable"}

    rows = [
        row("a", 0.5, "reached"),
        row("b", 2.0, "missed"),
        row("c", 0.1, "not comparable"),
        row("d", 3.0, "for reference"),
    ]
    results = {"comparisons": rows, "limits": [], "growths": []}
    assert report.summary(results) == (
        "- [Sums](docs/speed.md#sums): 0.5 × the time of them (a) to 3 × the time of them (d); "
        "1 of 2 goals reached."
    )
    results["comparisons"] = rows[:1]
    assert report.summary(results).endswith(": 0.5 × the time of them (a); 1 of 1 goals reached.")
    results["comparisons"] = rows[2:3]
    assert report.summary(results) == ""


def test_the_modules_say_what_they_compare_without_measuring():
    for topic in run.TOPICS:
        assert (ROOT / "benchmarks" / f"{topic}.py").exists()
    found = run.collect("")
    names = [item.name for items in found.values() for item in items]
    assert len({report.slug(name).lower() for name in names}) == len(names)
    assert all(name.split(":")[0] in run.TOPICS for name in names)
    for item in found["growths"]:
        assert item.sizes == sorted(item.sizes)
        assert item.sizes[-1] >= 10**2.5 * item.sizes[0]
    assert {item.name.split(":")[0] for item in found["growths"]} == set(run.TOPICS)


def test_the_pages_say_what_was_measured_and_nothing_else():
    results = json.loads((report.REPORT / "results.json").read_text(encoding="utf-8"))
    found = run.collect("")
    today = {item.name: item for items in found.values() for item in items}
    for file, new in report.pages(results, sorted(today)).items():
        text = (ROOT / file).read_text(encoding="utf-8")
        assert text == between(text, "bench", new), f"{file}: run `make bench-report`"
    pages = report.pages(results, sorted(today))
    figures = re.findall(r"!\[.*?\]\(\.\./(.*?)\)", pages["docs/speed.md"])
    assert len(figures) == len(results["growths"])
    assert all((ROOT / figure).exists() for figure in figures)
    # What is raced today was measured, or the page says by name that it was not yet.
    *_, later = pages["docs/speed.md"].partition("## Not measured yet")
    assert re.findall(r"^- (.*)", later, re.M) == sorted(today.keys() - report.names(results))
    # What was concluded follows from the times and results, by the goals of today.
    for row in results["comparisons"]:
        item = today.get(row["name"])
        assert item is None or (row["goal"], row["tolerance"]) == (item.goal, item.tolerance)
        again = Comparison(**{key: row[key] for key in row if key not in run.CONCLUDED})
        for key in run.CONCLUDED:
            assert getattr(again, key) == row[key]
        assert len(row["ratios"]) >= 5
    for row in results["limits"]:
        assert row["goal"] == today[row["name"]].goal
    for row in results["growths"]:
        sizes = row["lines"][0]["sizes"]
        assert sizes[-1] >= 10**2.5 * sizes[0]


def test_a_topic_measured_again_takes_the_place_of_what_it_was(topic, monkeypatch):
    topic.cases = lambda: [case()]
    bench(monkeypatch)
    old = json.loads((run.WHOLE / "results.json").read_text(encoding="utf-8"))
    other = {"name": "other: limit", "unit": "", "goal": 1, "measured": 0.5}
    old |= {
        "limits": [*old["limits"], other],
        "conditions": old["conditions"] | {"other": "It is."},
    }
    (run.WHOLE / "results.json").write_text(json.dumps(old), encoding="utf-8")
    monkeypatch.setattr(run, "_commit", lambda: "newer")
    topic.limits = lambda: [Limit("topic: memory", "MB", 2.0, lambda quick: 1.5)]
    monkeypatch.setattr(sys, "argv", ["run.py", "--again", "topic"])
    run.main()
    new = json.loads((run.WHOLE / "results.json").read_text(encoding="utf-8"))
    assert {row["name"]: row["measured"] for row in new["limits"]} == {
        "other: limit": 0.5,
        "topic: memory": 1.5,
    }
    text = report.markdown(new)
    assert text.count(f"Measured again on {new['date']}; this collection newer.") == 1
    assert text.index("## Topic") < text.index("Measured again")
    assert new["machine"] == old["machine"]


def test_a_race_that_was_not_measured_yet_is_named(topic, monkeypatch):
    results = bench(monkeypatch)
    assert "Not measured yet" not in report.markdown(results)
    text = report.markdown(results, today=["topic: new", *report.names(results)])
    assert text.endswith("## Not measured yet\n\n- topic: new\n")


def test_what_the_conditions_say_of_the_outcome_is_so():
    results = json.loads((report.REPORT / "results.json").read_text(encoding="utf-8"))
    compared = {row["name"]: row for row in results["comparisons"]}
    # "there scikit-learn is faster"
    for row in results["growths"]:
        if "K-means" in row["name"]:
            ours, theirs = row["lines"][:2]
            assert theirs["seconds"][-1] < ours["seconds"][-1]
    # "slower than its compiled peer with few points or with many medoids"; else "faster"
    medoids = {name: row["ratio"] for name, row in compared.items() if "K-medoids" in name}
    assert min(ratio for name, ratio in medoids.items() if "n = 1,000" in name) > 1
    assert medoids["clustering: K-medoids, n = 3,000, k = 64"] > 1
    assert medoids["clustering: K-medoids, n = 3,000, k = 8"] < 1
    # "such a race is not comparable"
    assert {row["verdict"] for n, row in compared.items() if "one rate" in n} == {"not comparable"}


def python(code: str, **env: str) -> str:
    env = os.environ | {"PYTHONPATH": str(ROOT)} | env
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.decode()


def test_every_library_has_one_thread():
    code = "import os; from benchmarks import run; "
    code += "print(*(os.environ[v] for v in os.environ if v.endswith('_THREADS')))"
    assert set(python(code, OPENBLAS_NUM_THREADS="4").split()) == {"1"}


def test_what_needs_no_torch_is_found_without_loading_it():
    code = "import sys; from benchmarks import run; "
    code += "print(len(run.collect('λ')['cases']), 'torch' in sys.modules)"
    assert python(code, PYTHONUTF8="1").split() == ["2", "False"]


def test_a_console_without_greek_letters_shows_the_report():
    """A Windows console writes cp1252, which has no λ."""
    code = (
        "import sys; from benchmarks import run; run.measure = lambda *_: {'growths': []}; "
        "run.write = lambda *_: None; run.report.store = lambda *_: None; "
        "run.report.markdown = lambda *_: '100 \u03bbs \u2264 2'; "
        "sys.argv = ['run', '--only', 'least squares']; run.main()"
    )
    assert python(code, PYTHONIOENCODING="cp1252").startswith("100 ?s ? 2")
