"""Moments of blocks, and the two passes over blocks on workers, against the whole table at once."""

import gzip
import os
import signal
import sys
import time
import warnings

import dask
import numpy as np
import pandas as pd
import pytest
from bad_arguments import refuses
from hypothesis import given
from hypothesis import strategies as st
from regression_cases import draw, seeds

from common import cluster, plotting, results
from tools.notebooks import algorithms, alone, code_cells, load, source
from tools.parameters import inject
from tools.project import ROOT

NOTEBOOK = ROOT / "regression" / "linear_vs_ridge.ipynb"
LAMS = np.array([0, 1e-3, 1.0, 30.0, 1e4])
SCALE = "a14b020a"  # the section's heading

nb = algorithms("regression")


def by_value():
    """Take the algorithms' module from where a worker would look for it: it has no such file."""
    sys.modules.pop("linear_vs_ridge", None)


def both(X, y, cuts, lams=LAMS, row=None):
    """Path, freedom, GCV and leave-one-out error from blocks, and of the whole table."""
    blocks = list(zip(np.split(X, cuts), np.split(y, cuts), strict=True))
    row = np.median(np.column_stack([X, y]), axis=0) if row is None else row
    M = nb.moments_of(lambda block: block, blocks, row)
    assert len(X) == M.n
    ours = *nb.ridge_of(M, lams), nb.leave_one_out_of(lambda block: block, blocks, M, lams)
    W, b = nb.ridge_path(X, y, lams)
    alone = nb.effective_dof(X, lams), nb.generalised_cv_mse(X, y, lams)
    return ours, (W, b, *alone, nb.leave_one_out_mse(X, y, lams))


def gaps(X, y, cuts, lams=LAMS, row=None):
    """Relative differences of each; of an intercept relative to what adds up to it."""
    ours, theirs = both(X, y, cuts, lams, row)
    W = theirs[0]
    sizes = [np.abs(each) for each in theirs]
    sizes[0] = np.maximum(np.abs(W).max(axis=0), 1e-300)
    sizes[1] = sizes[1] + np.abs(W) @ np.abs(X.mean(axis=0))
    pairs = zip(ours, theirs, sizes, strict=True)
    return np.array([np.max(np.abs(a - b) / size) for a, b, size in pairs])


# Blocks of every kind --------------------------------------------------------------------------


@given(
    seeds,
    st.sampled_from([(60, 8), (300, 3), (40, 1), (20, 45)]),
    st.lists(st.integers(0, 300), max_size=12),
    st.sampled_from([0.0, 1.0, 1e4, 1e8, -1e8]),
    st.sampled_from([0, 3, 6]),
)
def test_any_way_of_cutting_gives_what_the_whole_table_gives(seed, shape, cuts, far, apart):
    n, d = shape
    X, y = draw(n, d, seed)
    scale = np.logspace(-apart, apart, d) if d < n else 1.0
    X = (X + far) * scale
    assert gaps(X, y + far, np.sort(np.minimum(cuts, n)).astype(int)).max() < 1e-10


@pytest.mark.parametrize(
    "cuts", [[], [0, 0, 25, 25, 60, 60], range(1, 60), [1, 59]],
    ids=["one block", "empty blocks", "blocks of one row", "single rows at the ends"],
)  # fmt: skip
@pytest.mark.parametrize("far", [0, 1e8])
def test_cuts_at_the_edge(cuts, far):
    X, y = draw(60, 8, 1)
    assert gaps(X + far, y, [*cuts]).max() < 1e-10


def test_columns_that_say_nothing_or_the_same_and_tables_wider_than_long():
    X, y = draw(200, 4, 2)
    constant = np.column_stack([X, np.full(200, 0.1), np.full(200, 1e8), np.zeros(200)])
    assert gaps(constant, y, [50, 120]).max() < 1e-10
    for more in (X, X.sum(axis=1, keepdims=True), 1e3 * X[:, :1]):
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            assert gaps(np.hstack([X, more]), y, [50, 120]).max() < 1e-10
        assert {str(w.message)[:42] for w in said} == {"M: columns all but depend on each other, a"}
        assert gaps(np.hstack([X, more]), y, [50, 120], np.array([1e3, 1e4])).max() < 1e-10
    assert gaps(*draw(2, 5), [1]).max() < 1e-10
    assert gaps(np.round(3 * X).astype(int), y, [50]).max() < 1e-10


def test_rows_that_leave_one_out_gives_up_are_refitted_by_a_further_pass():
    """A value that occurs once: without its row the column is constant."""
    X, y = draw(200, 4, 3)
    once = np.zeros((200, 2))
    once[[17, 150], [0, 1]] = 1, 1e5
    wild = X.copy()
    wild[5, 2], wild[160, 2] = 1e8, 1e6
    lost = 0
    for table in (np.hstack([X, once]), wild):
        row = np.median(np.column_stack([table, y]), axis=0)
        M = nb.moments(table, y, row)
        lost += len(nb.left_out_squares(table, y, M, LAMS)[2])
        assert gaps(table, y, [10, 11, 155]).max() < 1e-10
    assert lost > 0


def test_an_outlier_as_the_common_row_does_no_harm_to_the_path():
    X, y = draw(300, 3, 4)
    assert gaps(X, y, [100], row=np.append(X[0], y[0])).max() < 1e-10
    assert gaps(X + 1e8, y, [100], row=np.append(X[7] + 1e8 + 1e3, 0.0)).max() < 1e-10


def test_without_a_common_row_merged_moments_lose_digits_and_with_one_none():
    X, y = draw(2_000, 5, 5)
    X = X + 1e8
    best = nb.ridge_path(X, y, [1.0])[0]
    for row, low, high in [(np.zeros(6), 1e-11, 1e-6), (np.append(X[0], y[0]), 0, 1e-13)]:
        parts = [nb.moments(X[i : i + 100], y[i : i + 100], row) for i in range(0, 2_000, 100)]
        C = nb.merged(parts).products
        W = np.linalg.solve(C[:-1, :-1] + np.eye(5), C[:-1, -1])
        assert low <= np.linalg.norm(W - best) / np.linalg.norm(best) < high


@given(seeds, st.integers(1, 40))
def test_moments_are_exact_sums_and_merge_in_one_fixed_order(seed, k):
    rng = np.random.default_rng(seed)
    Z = rng.integers(-50, 50, (k, 3)).astype(float)
    parts = [nb.moments(z[None, :2], z[2:], np.zeros(3)) for z in Z]
    M = nb.merged(iter(parts))
    assert np.allclose(M.mean, Z.mean(axis=0), atol=1e-13)
    assert np.allclose(M.products, (Z - Z.mean(axis=0)).T @ (Z - Z.mean(axis=0)), atol=1e-9)
    half = 1 << (k - 1).bit_length() >> 1  # the tree's left half, if there are two
    if k > 1:
        again = nb.merge(nb.merged(parts[:half]), nb.merged(parts[half:]))
        assert all(np.array_equal(a, b) for a, b in zip(M, again, strict=True))
    assert np.array_equal(M.products, M.products.T)


def test_digits_that_moments_have_lost_are_warned_of():
    X, y = draw(300, 4, 6)
    X[:, 1] = X[:, 0] + 1e-5 * X[:, 1]
    M = nb.moments(X, y)
    with pytest.warns(UserWarning, match="all but depend on each other"):
        nb.ridge_of(M, [0.0])
    assert gaps(X, y, [100], np.array([30.0, 1e3])).max() < 1e-10  # λ makes up for it
    X, _ = draw(300, 4, 6)
    with pytest.warns(UserWarning, match="all but exact"):
        nb.ridge_of(nb.moments(X, X @ np.ones(4)), [0.0])


# Bad arguments ---------------------------------------------------------------------------------


def test_bad_arguments_are_named():
    X, y = draw(6, 2)
    M, none = nb.moments(X, y), np.empty((0, 2))
    refuses("X", lambda: nb.moments(none, np.empty(0)))
    refuses("X", lambda: nb.moments(none, y, M.row))
    refuses("X", lambda: nb.moments(np.empty((0, 3)), np.empty(0), M.row))
    refuses("X", lambda: nb.moments([[1.0], [1.0, 2.0]], y, M.row), "rows of unequal length")
    refuses("y", lambda: nb.moments(X, y[:5], M.row))
    refuses("X", lambda: nb.moments(np.where(X == X[3, 1], np.nan, X), y), "got NaN at [3, 1]")
    refuses("row", lambda: nb.moments(X, y, M.row[:2]), "got 2")
    refuses("row", lambda: nb.moments(X, y, 5.0))
    refuses("row", lambda: nb.moments(X, y, [np.nan] * 3))
    for bad in (None, "M", 3, (1, 2), y, [M]):
        refuses("a", lambda bad=bad: nb.merge(bad, M), "got ")
        refuses("b", lambda bad=bad: nb.merge(M, bad))
        refuses("M", lambda bad=bad: nb.ridge_of(bad, [1.0]))
        refuses("M", lambda bad=bad: nb.spectrum_of(bad))
        refuses("M", lambda bad=bad: nb.left_out_squares(X, y, bad, [1.0]))
    refuses("b", lambda: nb.merge(M, nb.moments(X, y, np.zeros(3))), "less the row of a")
    refuses("parts", lambda: nb.merged([]), "got none")
    refuses("parts", lambda: nb.merged([M, None]))
    refuses("M", lambda: nb.ridge_of(nb.moments(X[:1], y[:1]), [1.0]), "at least 2 rows, got 1")
    refuses("M", lambda: nb.left_out_squares(X[:, :1], y, M, [1.0]), "expected 2 values")
    for lams in ([], [-1.0], [np.nan], 1.0, "1", None):
        refuses("lams", lambda lams=lams: nb.ridge_of(M, lams))
        refuses("lams", lambda lams=lams: nb.leave_one_out_of(lambda b: (X, y), [0], M, lams))
    for blocks in ([], None, "abc", 3):
        refuses("blocks", lambda blocks=blocks: nb.runs(blocks))
        refuses("blocks", lambda blocks=blocks: nb.moments_of(lambda b: (X, y), blocks, M.row))
    refuses("most", lambda: nb.runs([1, 2], 0))
    refuses("blocks", lambda: nb.leave_one_out_of(lambda b: (X, y), [0, 1], M, [1.0]), "got 12")
    refuses("client", lambda: nb.on_workers("tcp://127.0.0.1:8786"))
    empty = nb.moments(none, np.empty(0), M.row)
    assert empty.n == 0
    assert nb.merge(empty, M) is M
    assert nb.merge(M, empty) is M


def test_at_most_so_many_tasks_and_no_block_twice():
    for n, most in [(1, 5), (5, 5), (6, 5), (1_001, 1_000), (10_000, 1_000)]:
        cut = nb.runs(range(n), most)
        assert len(cut) <= most
        assert [b for run in cut for b in run] == list(range(n))


# On workers ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def client():
    """Two workers for the tests that do them no harm."""
    by_value()
    with warnings.catch_warnings(), dask.config.set({"scheduler-address": None}):
        warnings.simplefilter("default")  # Dask warns of what it mends itself
        with cluster.workers() as started:
            yield started


def closure(far=1e8, before=lambda seed: None):
    """A `read` that travels by value, as that of a notebook does."""

    def read(seed):
        before(seed)
        rng = np.random.default_rng(seed)
        X = rng.standard_normal((400, 5)) + far
        return X, X @ np.arange(5.0) + rng.standard_normal(400)

    return read


def passes(read, run, n=40):
    """Both passes over n blocks."""
    row = np.append(np.full(5, 1e8), 1e9)
    M = nb.moments_of(read, range(n), row, run)
    return [*M[1:], *nb.ridge_of(M, LAMS), nb.leave_one_out_of(read, range(n), M, LAMS, run)]


def same_bits(a, b):
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


dasked = pytest.mark.filterwarnings("default")


@dasked
def test_workers_find_to_the_last_bit_what_this_process_finds(client):
    alone = passes(closure(), map)
    for ended in (cluster.finished, iter, lambda futures: futures[::-1]):
        assert same_bits(passes(closure(), nb.on_workers(client, ended)), alone)


@dasked
def test_an_error_of_a_block_is_told_as_it_is(client):
    def broken(seed):
        if seed == 11:
            raise ValueError(f"MY_TABLE: expected a table as text, got part-{seed}.csv")
        return np.ones((2, 5)), np.ones(2)

    with pytest.raises(ValueError, match=r"got part-11\.csv"):
        nb.moments_of(broken, range(20), np.zeros(6), nb.on_workers(client, cluster.finished))


@dasked
def test_a_worker_that_is_killed_half_way_changes_no_bit(tmp_path):
    """In each pass the worker that reads block 20 dies of it, once."""
    by_value()
    alone, times = passes(closure(), map), []
    for kills in (0, 2):
        marks = [str(tmp_path / f"{kills}-{i}") for i in range(2)]

        def die(seed, marks=marks, kills=kills):
            time.sleep(0.01)
            if seed == 20 and kills:
                for mark in marks:
                    if not os.path.exists(mark):
                        open(mark, "w").close()
                        os.kill(os.getpid(), signal.SIGKILL)

        with dask.config.set({"scheduler-address": None}), cluster.workers() as started:
            start = time.monotonic()
            found = passes(closure(before=die), nb.on_workers(started, cluster.finished))
            times.append(time.monotonic() - start)
        assert same_bits(found, alone)
        assert sum(map(os.path.exists, marks)) == kills
    assert times[1] < times[0] + 20


@dasked
def test_a_scheduler_and_workers_of_their_own_and_the_scheduler_s_end(scheduler):
    by_value()
    address, started = scheduler
    with dask.config.set({"scheduler-address": address}):
        with cluster.workers() as found:
            found.wait_for_workers(2, timeout=60)
            assert same_bits(passes(closure(), nb.on_workers(found)), passes(closure(), map))
        slow = closure(before=lambda seed: time.sleep(1))
        with (  # noqa: PT012
            pytest.raises(RuntimeError, match="scheduler went away"),
            cluster.workers() as found,
        ):
            run = nb.on_workers(found, lambda futures: ended(futures, started[0]))
            passes(slow, run)


def ended(futures, process):
    """The futures as they end; the scheduler is killed after the second of them."""
    for i, future in enumerate(cluster.finished(futures)):
        yield future
        if i == 1:
            process.send_signal(signal.SIGKILL)


@pytest.mark.slow
@dasked
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_what_a_worker_holds_does_not_grow_with_the_rows(client):
    from benchmarks import scale, scale_regression

    scale_regression.on_workers(client, size=200_000)
    few, many = (
        scale.peak_of_workers(client, lambda c, n=n: scale_regression.on_workers(c, size=n))
        for n in (400_000, 3_000_000)
    )
    assert many < few + 30e6 < 150e6


# A folder of files -----------------------------------------------------------------------------


def sales(folder, files=5, rows=80):
    """Write a table in parts, with text and gaps; the last part has only the names."""
    rng, folder = np.random.default_rng(0), folder / "sales"
    folder.mkdir(exist_ok=True)
    for i in range(files):
        size, rooms = rng.uniform(40, 200, rows), rng.integers(1, 7, rows)
        town = rng.choice(["Ulm", "Bonn", "Kiel"], rows, p=[0.5, 0.3, 0.2])
        price = 2e3 * size + 1e4 * rooms + 3e4 * (town == "Kiel") + 5e3 * rng.standard_normal(rows)
        part = pd.DataFrame({" size": size, "rooms": rooms, "town": town, "price": price})
        part.loc[3, "rooms"], part.loc[5, "town"], part.loc[7, "price"] = np.nan, None, np.inf
        part = part[part.columns[::-1]] if i == 1 else part
        part[: rows if i < files - 1 else 0].to_csv(folder / f"part-{i}.csv", index=False)
    return folder / "*.csv"


@pytest.fixture
def page(tmp_path, monkeypatch, capsys):
    """Execute a section on a table, with at most so many bytes for *Yours*."""
    monkeypatch.setattr(results, "ROOT", tmp_path)
    monkeypatch.setattr(plotting, "display", lambda data, metadata, raw: None)
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("TQDM_DISABLE", "1")

    def run(heading, table, most="100e6"):
        book = alone(load(NOTEBOOK), heading)
        inject(book, {"MY_TABLE": str(table), "MY_TARGET": "price"})
        space = {"__name__": "__main__"}
        for cell in code_cells(book):
            text = source(cell).replace("100e6", most)
            exec(compile(text, cell["id"], "exec"), space)
        assert all(row.passed is not False for row in space["evidence"].rows)
        return space, capsys.readouterr().out

    return run


@dasked
@pytest.mark.parametrize("most", ["100e6", "10_000"])
def test_a_folder_is_read_as_one_file_is_each_file_a_block(page, tmp_path, most):
    with dask.config.set({"scheduler-address": None}):
        space, said = page(SCALE, sales(tmp_path), most)
    assert ("Yours takes the first 2 of 5 files." in said) == (most != "100e6")
    assert "5 blocks, 308 rows of 40 bytes; moments 288" in said
    checked = [row for row in space["evidence"].rows if "one process finds" in row.claim]
    assert len(checked) == (most == "100e6")
    saved = pd.read_csv(tmp_path / "build" / "regression" / "all-weights.csv")
    weights = saved.set_index("column")["ridge"]
    assert set(weights.index) == {"size", "rooms", "town = Bonn", "town = Kiel", "(intercept)"}
    assert abs(weights["size"] - 2e3) < 60
    assert abs(weights["town = Kiel"] - 3e4) < 6e3


def yours_heading():
    return next(
        c["id"] for c in load(NOTEBOOK)["cells"] if "yours" in c["metadata"].get("tags", [])
    )


def test_a_file_that_does_not_fit_the_others_is_named(page, tmp_path):
    files, yours = sales(tmp_path), yours_heading()
    last = files.parent / "part-9.csv"
    for text, message in [
        ("size,rooms,price\n1,2,3\n", r"columns of .*part-0\.csv, got .*part-9\.csv.* 'town' diff"),
        ("size,rooms,town,cost\n1,2,Ulm,3\n", r"part-9\.csv, where 'cost', 'price' differ"),
        ("", r"got .*part-9\.csv: it is empty"),
        ("a\n1\n", r"got .*part-9\.csv: its first line, 'a', names one column"),
    ]:
        last.write_text(text)
        with pytest.raises(ValueError, match=message) as caught:
            page(yours, files)
        assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match=r"MY_TABLE: .*none-\*\.csv: there is no such file"):
        page(yours, files.parent / "none-*.csv")


def test_a_file_that_breaks_further_down_is_named_by_the_worker(page, tmp_path):
    files = sales(tmp_path)
    space, _ = page(yours_heading(), files)
    head = "size,rooms,town,price\n" + "1,2,Ulm,3\n" * 9
    for text, message in [
        ("1,2,Berlin,3\n", r"the values that Yours knows of 'town', got 'Berlin' in .*bad\.csv"),
        ("1,n/d,Ulm,3\n", r"numbers in 'rooms', got 'n/d' in .*bad\.csv"),
        ("1,2,Ulm,?!\n", r"numbers in 'price', got '\?!' in .*bad\.csv"),
        ("1,2,Ulm,3,4\n", r"a table as text, got .*bad\.csv: .*Expected 4 fields"),
    ]:
        file = tmp_path / "bad.csv"
        file.write_text(head + text)
        with pytest.raises(ValueError, match=rf"^MY_TABLE: expected {message}"):
            space["own_block"](str(file))
    broken = tmp_path / "bad.csv.gz"
    broken.write_bytes(gzip.compress((head * 1_000 + os.urandom(9_000).hex()).encode())[:5_000])
    with pytest.raises(ValueError, match=r"a table as text, got .*bad\.csv\.gz"):
        space["own_block"](str(broken))
    X, y = space["own_block"](str(files.parent / "part-4.csv"))
    assert X.shape == (0, 4)
    assert y.shape == (0,)
