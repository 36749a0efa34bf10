"""*Yours* of the regression notebook: the certified answer, and tables as people have them."""

import csv
import gzip
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from regression_cases import draw, nb, relative
from scipy import stats

from common import plotting, results
from tools.notebooks import alone, code_cells, load, source
from tools.parameters import inject
from tools.project import ROOT

NOTEBOOK = ROOT / "regression" / "linear_vs_ridge.ipynb"
LONGLEY = ROOT / "regression" / "data" / "longley.csv"
# NIST's, as StRD prints them: the intercept, then the weights in the order of the file.
CERTIFIED = [
    "-3482258.63459582",
    "15.0618722713733",
    "-0.358191792925910E-01",
    "-2.02022980381683",
    "-1.03322686717359",
    "-0.511041056535807E-01",
    "1829.15146461355",
]


# Longley ---------------------------------------------------------------------------------------


def exact_least_squares(rows, y):
    """Solve the normal equations in fractions, where nothing is ever rounded."""
    X = [[Fraction(1), *map(Fraction, row)] for row in rows]
    y, d = [*map(Fraction, y)], len(X[0])
    A = [[sum(r[i] * r[j] for r in X) for j in range(d)] for i in range(d)]
    for i in range(d):
        A[i].append(sum(r[i] * t for r, t in zip(X, y, strict=True)))
    for i in range(d):
        A[i] = [a / A[i][i] for a in A[i]]
        for j in range(d):
            if j != i:
                A[j] = [a - A[j][i] * b for a, b in zip(A[j], A[i], strict=True)]
    return [row[-1] for row in A]


def test_longley_s_data_have_exactly_the_certified_weights():
    with LONGLEY.open(encoding="utf-8", newline="") as file:
        _, *rows = csv.reader(file)
    assert (len(rows), len(rows[0])) == (16, 7)
    exact = exact_least_squares([row[:-1] for row in rows], [row[-1] for row in rows])
    for found, certified in zip(exact, CERTIFIED, strict=True):
        assert abs(found / Fraction(certified) - 1) < Fraction(1, 10**14)
    (cell,) = (source(c) for c in code_cells(load(NOTEBOOK)) if "CERTIFIED =" in source(c))
    space = {"np": np}
    exec(cell, space)
    assert space["CERTIFIED"] == [float(value) for value in CERTIFIED]


# The section, executed alone -------------------------------------------------------------------


@pytest.fixture
def yours(tmp_path, monkeypatch, capsys):
    """Execute *Yours* on a table, a DataFrame or a file; what it named, and what it printed."""
    monkeypatch.setattr(results, "ROOT", tmp_path)
    monkeypatch.setattr(plotting, "display", lambda data, metadata, raw: None)
    monkeypatch.chdir(ROOT)

    def run(table, target=None):
        if isinstance(table, pd.DataFrame):
            file = tmp_path / "table.csv"
            table.to_csv(file, index=False)
            table = file
        values = {"MY_TARGET": target} | ({} if table is None else {"MY_TABLE": str(table)})
        heading = next(
            c for c in load(NOTEBOOK)["cells"] if "yours" in c["metadata"].get("tags", [])
        )
        book = alone(load(NOTEBOOK), heading["id"])
        inject(book, values)
        space = {}
        for cell in code_cells(book):
            exec(compile(source(cell), cell["id"], "exec"), space)
        assert all(row.passed is not False for row in space["evidence"].rows)
        return space, capsys.readouterr().out

    return run


def people(n, seed=0):
    """A table as people have them, and its target "price"."""
    rng = np.random.default_rng(seed)
    size, rooms = rng.uniform(40, 200, n), rng.integers(1, 7, n)
    town = rng.choice(["Ulm", "Bonn", "Kiel"], n, p=[0.5, 0.3, 0.2])
    price = 2e3 * size + 1e4 * rooms + 3e4 * (town == "Kiel") + 5e3 * rng.standard_normal(n)
    return pd.DataFrame({"size": size, "rooms": rooms, "town": town, "price": price})


def test_longley_is_what_one_gets_and_all_solvers_have_eleven_digits(yours):
    space, said = yours(None)
    assert "16 rows of 7 columns, target 'employed'" in said
    digits = [row for row in space["evidence"].rows if "digits" in row.claim]
    assert len(digits) == 3
    assert all(row.passed for row in digits)
    assert "Warning: 12 training rows for 6 columns are few" in said


def test_a_table_with_categories_and_gaps(yours, tmp_path):
    table = people(300)
    table["flag"] = np.arange(300) % 3 == 0
    table["id"] = [f"row {i}" for i in range(300)]
    table["blank"] = np.where(np.arange(300) < 200, np.nan, 1)
    table["always"] = 7
    table["area"] = table["size"]
    table.loc[[3, 5], "rooms"] = np.nan
    table.loc[[5, 8], "town"] = None
    table.loc[9, "price"] = np.inf
    space, said = yours(table, "price")
    assert space["names"] == ["size", "rooms", "flag", "town = Bonn", "town = Kiel"]
    assert "Left out, more than half empty: blank." in said
    assert "Left out, text of more than 20 values: id." in said
    assert "Dropped 4 of 300 rows: a value is missing, or too large." in said
    assert "Left out, constant on the training rows: always." in said
    assert "Left out, the same as another: area (as size)." in said
    weights = space["weights"].set_index("column")
    for column, truth in [("size", 2e3), ("rooms", 1e4), ("town = Kiel", 3e4), ("town = Bonn", 0)]:
        for method in ("ridge", "least squares"):
            low, high = (
                weights.loc[column, f"{method}, low"],
                weights.loc[column, f"{method}, high"],
            )
            assert low < weights.loc[column, method] < high
            assert low - (high - low) < truth < high + (high - low)
    folder = tmp_path / "build" / "regression"
    saved = pd.read_csv(folder / "table-weights.csv")
    assert saved["column"].tolist() == [*space["names"], "(intercept)"]
    predictions = pd.read_csv(folder / "table-predictions.csv")
    assert list(predictions) == ["row", "price", "ridge", "least squares", "mean"]
    assert np.allclose(table.loc[predictions["row"], "price"], predictions["price"])
    used = table.loc[predictions["row"]]
    by_hand = saved["ridge"].iloc[-1] + sum(
        saved["ridge"].iloc[i] * values
        for i, values in enumerate(
            [
                used["size"],
                used["rooms"],
                used["flag"],
                used["town"] == "Bonn",
                used["town"] == "Kiel",
            ]
        )
    )
    assert np.allclose(by_hand, predictions["ridge"], rtol=1e-9)


def test_nothing_of_the_held_out_part_is_used_to_standardise(yours):
    table = people(80)
    space, _ = yours(table, "price")
    held_out = space["kept_rows"][space["own_test"]]
    table.loc[held_out, "size"] *= 1e3
    again, _ = yours(table, "price")
    assert np.array_equal(space["Z"], again["Z"])
    assert space["own_lam"] == again["own_lam"]


@pytest.mark.parametrize("form", ["tsv", "semicolon", "german", "latin", "gz", "pattern"])
def test_a_table_may_come_in_many_forms(yours, tmp_path, form):
    table, file = people(60).round(3), tmp_path / "t.csv"
    table["town"] = table["town"].replace("Ulm", "Köln")
    text = table.to_csv(index=False)
    if form == "tsv":
        file.write_text(text.replace(",", "\t"), encoding="utf-8-sig")
    elif form == "semicolon":
        file.write_text(text.replace(",", ";"), encoding="utf-8")
    elif form == "german":
        file.write_text(text.replace(",", ";").replace(".", ","), encoding="utf-8")
    elif form == "latin":
        file.write_text(text, encoding="cp1252")
    elif form == "gz":
        file = tmp_path / "t.csv.gz"
        file.write_bytes(gzip.compress(text.encode()))
    else:
        table[:25].to_csv(tmp_path / "part-1.csv", index=False)
        table[25:].to_csv(tmp_path / "part-2.csv", index=False)
        file = tmp_path / "part-*.csv"
    space, _ = yours(file, "price")
    assert np.allclose(space["y_own"], table["price"])
    assert set(space["names"]) == {"size", "rooms", "town = Bonn", "town = Kiel"}


@pytest.mark.parametrize(
    ("content", "target", "message"),
    [
        (b"", None, "MY_TABLE: expected a table as text, got .*: it is empty"),
        (b"PK\x03\x04\x00\x00\x00", None, "it isn't text: export it as CSV"),
        (b"a,b\n1,2\n3,4,5\n", None, "MY_TABLE: expected a table as text"),
        (b"a\n1\n2\n", None, r"MY_TABLE: .* its first line, 'a', names one column"),
        (b"Once upon a time\nthere was\n", None, "MY_TABLE: .* names one column"),
        (b"Once, upon\na time, there\n", None, "MY_TABLE: expected a column of numbers, got"),
        (b"a,b\n1,2\n", "c", r"MY_TARGET: expected a column of numbers \(a, b\), got 'c'$"),
        (b"a,b\n1,x\n2,y\n", "b", r"MY_TARGET: .* numbers \(a\), got 'b' with 'x', 'y'$"),
        (b"a,b\n1,x\n2,y\n", None, "got 'b' with 'x', 'y', the last column, as none is set"),
        (b"a,b\n" + b"1,2\n3,4\n" * 3, None, "MY_TABLE: expected 8 complete rows or more, got 6"),
        (
            b"a,b\n" + b"1,2\n3,2\n" * 9,
            None,
            "MY_TARGET: expected values that vary, got 'b', all 2",
        ),
        (b"a,b\n" + b"1,2\n1,4\n" * 9, None, "expected a column beside the target that varies"),
        (
            b"a,b\n",
            None,
            "MY_TABLE: expected 8 complete rows|MY_TABLE: expected a column of numbers",
        ),
        (b"a,b\n" + b",2\n,4\n" * 9, None, "expected a column beside the target that varies"),
    ],
)
def test_a_file_that_will_not_do_is_refused_in_a_sentence(
    yours, tmp_path, content, target, message
):
    file = tmp_path / "bad.csv"
    file.write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
        yours(file, target)
    assert "\n" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_target_without_a_table_is_refused(yours):
    with pytest.raises(
        ValueError, match=r"^MY_TARGET: expected MY_TABLE beside it, got 'gnp' alone"
    ):
        yours(None, "gnp")


def test_a_file_that_is_not_there_or_broken_is_refused_in_a_sentence(yours, tmp_path):
    with pytest.raises(ValueError, match=r"MY_TABLE: expected a table as text, .*no such file"):
        yours(tmp_path / "none.csv")
    broken = tmp_path / "t.csv.gz"
    broken.write_bytes(gzip.compress(people(500).to_csv().encode())[:900])
    with pytest.raises(ValueError, match="MY_TABLE: expected a table as text"):
        yours(broken)


def test_a_date_in_milliseconds_and_a_tiny_column_do_no_harm(yours):
    table = people(400)
    table.insert(0, "when", 1.7e12 + 1e7 * np.arange(400.0))
    table["tiny"] = 1e-9 * np.random.default_rng(1).standard_normal(400)
    table = table[["when", "size", "rooms", "tiny", "price"]]
    space, _ = yours(table, "price")
    weights = space["weights"].set_index("column")["least squares"]
    X, y = space["X_own"][space["own_train"]], space["t_train"]
    Z = (X - X.mean(axis=0)) / X.std(axis=0)
    w = np.linalg.lstsq(Z, y - y.mean(), rcond=None)[0] / X.std(axis=0)
    assert np.allclose(weights, w, rtol=1e-8)


def test_names_and_numbers_of_all_sorts_do_no_harm(yours):
    table = people(60).rename(columns={"size": " größe  m² ", "price": " price "})
    table["flat"] = 1e-200 * np.arange(60)
    table["infinite"] = np.inf
    table["wild"] = np.where(np.arange(60) == 7, 1e200, np.arange(60) % 5)
    space, said = yours(table, "price")
    assert space["names"][:3] == ["größe  m²", "rooms", "wild"]
    assert "Left out, more than half empty: infinite." in said
    assert "Left out, constant on the training rows: flat." in said
    assert "Dropped 1 of 60 rows: a value is missing, or too large." in said
    rows = pd.DataFrame(np.random.default_rng(0).standard_normal((30, 2)))
    assert "Its first line holds numbers, and was taken for names." in yours(rows)[1]
    rows[1] = rows[0] > 0  # a target of yes and no
    assert set(yours(rows)[0]["y_own"]) == {0, 1}


def test_a_log_with_dates_and_decimal_commas_is_read_as_numbers(yours, tmp_path):
    rng, file = np.random.default_rng(0), tmp_path / "log.csv"
    warm = rng.normal(10, 5, 90).round(1)
    load = (50 - 2 * warm + rng.standard_normal(90)).round(2)
    times = pd.date_range("2024-03-01", periods=90).strftime("%d.%m.%Y %H:%M")
    table = pd.DataFrame({"Zeit, lokal": times, "Temp, °C": warm, "Last, kW": load})
    for separator in ";\t":
        table.to_csv(file, sep=separator, decimal=",", index=False, encoding="cp1252")
        space, said = yours(file)
        assert np.array_equal(space["X_own"][:, 0], warm)
        assert np.array_equal(space["y_own"], load)
        assert "Left out, text of more than 20 values: Zeit, lokal." in said


def test_numbers_that_are_text_gaps_and_ids_are_named(yours):
    table = people(60).round(0)
    table.insert(0, "id", 1000 + np.random.default_rng(0).permutation(60))
    table.insert(0, "falling", -np.cumsum(1 + table["rooms"]))
    table.loc[:6, "size"] = np.nan
    table["tax"] = np.where(table["rooms"] == 3, "n/d", table["rooms"].astype(str))
    _, said = yours(table, "price")
    assert "Warning: mostly numbers, yet text: tax ('n/d')." in said
    assert "Warning: numbers the rows: falling, id." in said
    assert "Warning: size: over a tenth empty" in said
    with pytest.raises(ValueError, match=r"MY_TARGET: .*got 'tax' with 'n/d'$"):
        yours(table, "tax")
    _, said = yours(people(60), "price")
    assert "numbers the rows" not in said
    assert "mostly numbers" not in said
    assert "over a tenth empty" not in said


def test_rows_that_follow_each_other_are_warned_of(yours):
    table, text = people(200), "Warning: neighbouring rows have errors alike"
    assert text not in yours(table, "price")[1]
    drift = 2e4 * np.sin(np.arange(200) / 15)
    assert text in yours(table.assign(price=table["price"] + drift), "price")[1]


def test_errors_of_independent_rows_are_seldom_called_alike(yours):
    alike, rng = yours(None)[0]["alike"], np.random.default_rng(0)
    found = np.array([alike(rng.standard_normal(60)) for _ in range(2_000)])
    assert abs(found.std() - 1) < 0.1
    assert np.mean(found > 3) < 0.005
    assert alike(np.zeros(9)) == 0
    assert np.isclose(alike(np.array([1.0, 1, -1, -1])), 0.5)  # √4 · (1 - 1 + 1) / 4


def test_numbers_are_written_as_people_read_them(yours):
    short = yours(None)[0]["short"]
    numbers = [0.00102, -0.5, 64.39, 999.7, -23_456.7, 2e12]
    assert list(map(short, numbers)) == ["0.00102", "-0.5", "64.4", "1,000", "-23,457", "2e+12"]
    assert short(22.956, 4) == "22.96"


def test_warnings_are_given_where_they_are_due(yours):
    rng = np.random.default_rng(0)
    noise = pd.DataFrame(rng.standard_normal((60, 3)), columns=["a", "b", "y"])
    _, said = yours(noise)
    assert "Ridge does not beat mean" in said or "Ridge beats mean by less than" in said
    exact = noise.assign(y=noise["a"] - 2 * noise["b"])
    _, said = yours(exact)
    assert "λ sits at the lower edge of its grid" in said
    wide = pd.DataFrame(rng.standard_normal((20, 40)))
    space, said = yours(wide)
    assert "15 training rows for 39 columns are few" in said
    assert "Ridge's intervals are too narrow." in said
    assert "for least squares the fit of least norm is shown, without intervals" in said
    assert space["weights"]["least squares, low"].isna().all()
    assert space["weights"]["ridge, low"].notna().all()


def test_the_upper_edge_of_the_grid_is_named():
    (cell,) = (source(c) for c in code_cells(load(NOTEBOOK)) if "def warnings_on" in source(c))
    space = {"np": np}
    exec(cell, space)
    squares = {"ridge": np.ones(4), "least squares": 2 * np.ones(4), "mean": 2 * np.ones(4)}
    said = space["warnings_on"](squares, 100, 3, 60, 60, True)
    assert said == ["λ sits at the upper edge of its grid: the columns predict next to nothing."]
    assert space["warnings_on"](squares, 100, 3, 5, 60, True) == []


def bundled():
    datasets = pytest.importorskip("sklearn.datasets")
    frames = {}
    for name in ("diabetes", "wine", "iris", "breast_cancer", "linnerud"):
        data = getattr(datasets, f"load_{name}")(as_frame=True)
        frames[name] = data.frame
    frames["iris"] = frames["iris"].rename(columns={"petal width (cm)": "width"})
    return frames


@pytest.mark.parametrize("name", ["diabetes", "wine", "iris", "breast_cancer", "linnerud"])
def test_the_tables_bundled_with_scikit_learn_run_to_the_end(yours, name):
    frame = bundled()[name]
    target = {"iris": "width", "linnerud": "Weight"}.get(name, "target")
    space, said = yours(frame, target)
    assert len(space["predicted"]["ridge"]) == len(frame) - round(0.75 * len(frame))
    assert "held-out root mean square error, ridge:" in said
    reference = pytest.importorskip("sklearn.linear_model").Ridge(alpha=space["own_lam"])
    reference.fit(space["Z"], space["t_train"])
    assert np.allclose(reference.predict(space["Z_test"]), space["predicted"]["ridge"], rtol=1e-6)


@pytest.mark.slow
def test_twenty_rows_and_two_hundred_thousand_by_hundred(yours, tmp_path):
    space, _ = yours(people(20), "price")
    assert len(space["t_train"]) == 15
    X, y = draw(200_000, 99)
    file, head = tmp_path / "large.csv", ",".join(f"x{i}" for i in range(100))
    np.savetxt(file, np.column_stack([X, y]), "%.6g", ",", header=head, comments="")
    space, _ = yours(file)
    assert space["Z"].shape == (150_000, 99)
    width = space["weights"]["ridge, high"] - space["weights"]["ridge, low"]
    by_t = space["weights"]["least squares, high"] - space["weights"]["least squares, low"]
    assert 0.7 < np.median(width / by_t) < 1.3


# The algorithms --------------------------------------------------------------------------------


def test_half_widths_are_student_s_for_one_column_and_many():
    X, y = draw(30, 1)
    line = stats.linregress(X[:, 0], y)
    half = nb.t_half_widths(X, y)
    assert relative(half, line.stderr * stats.t.ppf(0.975, 28)) < 1e-10
    X, y = draw(40, 6, offset=5)
    A = np.column_stack([X, np.ones(40)])
    _, squares, *_ = np.linalg.lstsq(A, y, rcond=None)
    covariance = squares[0] / 33 * np.linalg.inv(A.T @ A)
    expected = stats.t.ppf(0.95, 33) * np.sqrt(np.diag(covariance)[:-1])
    assert relative(nb.t_half_widths(X, y, level=0.9), expected) < 1e-8
    with pytest.raises(ValueError, match="expected more rows than columns"):
        nb.t_half_widths(*draw(7, 6))


def test_the_intervals_hold_the_truth_as_often_as_they_say():
    rng, held = np.random.default_rng(0), []
    X, w = rng.standard_normal((25, 4)), np.arange(4.0)
    for _ in range(400):
        y = X @ w + rng.standard_normal(25)
        held.append(np.abs(nb.normal_equation(X, y)[0] - w) <= nb.t_half_widths(X, y))
    assert abs(np.mean(held) - 0.95) < 0.02


@pytest.mark.parametrize("n", [60, 25_000])
def test_the_bootstrap_spreads_as_the_estimate_does(n):
    X, y = draw(n, 3)
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    drawn = nb.bootstrap_weights(X, y, 1.0, np.random.default_rng(0), times=400)
    assert drawn.shape == (400, 3)
    w, _ = nb.normal_equation(X, y, 1.0)
    half = nb.t_half_widths(X, y) / stats.t.ppf(0.975, n - 4)
    assert np.all(np.abs(drawn.mean(axis=0) - w) < 0.3 * half)
    assert np.all(np.abs(drawn.std(axis=0) / half - 1) < 0.35)
    far = nb.bootstrap_weights(X + 1e8, y + 1e8, 1.0, np.random.default_rng(0), times=400)
    assert np.allclose(far, drawn, atol=1e-6)


@pytest.mark.parametrize(("n", "least", "most"), [(20, 0.6, 0.85), (60, 0.9, 1.1)])
def test_the_bootstrap_s_intervals_are_too_narrow_where_rows_are_few(n, least, most):
    """Twenty columns: below two rows a column *Yours* says so, see `warnings_on`."""
    rng, drawn, widths = np.random.default_rng(0), [], []
    for i in range(600):
        X = rng.standard_normal((n, 20))
        y = X.sum(axis=1) / 20**0.5 + 0.5 * rng.standard_normal(n)
        drawn.append(nb.normal_equation(X, y, 5.0)[0])
        if i < 20:
            boot = nb.bootstrap_weights(X, y, 5.0, rng, times=100)
            widths.append(boot.std(axis=0))
    assert least < np.mean(widths) / np.std(drawn, axis=0).mean() < most


def test_moments_of_parts_add_up_and_give_ridge():
    X, y = draw(50, 5)
    parts = [nb.products(X[i::3], y[i::3]) for i in range(3)]
    assert np.allclose(sum(parts), nb.products(X, y))
    w, _ = nb.normal_equation(X, y, 2.0)
    assert relative(nb.ridge_of_products(sum(parts), 2.0), w) < 1e-10
