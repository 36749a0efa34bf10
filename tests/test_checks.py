"""What common.checks takes, gives and refuses, and that its errors say what to do."""

import ast

import numpy as np
import pandas as pd
import pytest
import torch
from bad_arguments import AXES, BAD_INTEGERS, BAD_RNG, GOOD_SEEDS, IDS, KINDS, REAL, refuses
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy import sparse

from common import checks
from tools.project import ROOT

ONE, TWO = np.array([1, 2, 3]), np.array([[1, 2], [3, 4], [5, 6]])
real_dtypes = st.sampled_from(["f2", "f4", "f8", ">f8", "i1", "u1", "<i4", ">i8", "u8", "g"])


def test_it_imports_numpy_alone():
    tree = ast.parse((ROOT / "common" / "checks.py").read_text(encoding="utf-8"))
    imported = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    assert [ast.unparse(node) for node in imported] == ["import numpy as np"]


# Arrays ----------------------------------------------------------------------------------------


@given(st.data(), real_dtypes, st.integers(0, 3))
def test_real_arrays_of_any_dtype_become_float64_of_the_same_values(data, dtype, ndim):
    shape = data.draw(array_shapes(min_dims=ndim, max_dims=ndim)) if ndim else ()
    A = data.draw(arrays(np.int8, shape, elements=st.integers(0, 100))).astype(dtype)
    found = checks.array("A", A, ndim)
    assert found.dtype == np.float64
    assert np.array_equal(found, A)
    assert np.array_equal(checks.array("A", A.tolist(), ndim), A)
    assert np.array_equal(checks.array("A", A, None), A)


def test_what_is_float64_already_is_not_copied():
    A = np.ones((3, 2))
    assert checks.array("A", A, 2) is A
    assert checks.plain("A", A) is A


@pytest.mark.parametrize("value", [TWO, TWO.tolist(), pd.DataFrame(TWO), torch.as_tensor(TWO)])
def test_tables_lists_and_tensors_of_numbers_are_taken(value):
    assert np.array_equal(checks.array("X", value, 2), TWO)


@pytest.mark.parametrize(
    "value", [ONE, ONE.tolist(), pd.Series(ONE), pd.Index(ONE), torch.as_tensor(ONE), (1, 2.0, 3)]
)
def test_columns_lists_and_tensors_of_numbers_are_taken(value):
    assert np.array_equal(checks.array("y", value, 1), ONE)


def test_columns_of_unlike_numbers_are_taken():
    table = pd.DataFrame({"a": [1, 2], "b": [0.5, 1.5], "c": np.float32([3, 4])})
    assert np.array_equal(checks.array("X", table, 2), [[1, 0.5, 3], [2, 1.5, 4]])


@pytest.mark.parametrize(
    "value",
    [[1.0, True], (False, 2), [[1], [True]], [np.True_, 2.0], [np.ones(2), [1, True]]],
)
def test_a_boolean_among_numbers_is_refused(value):
    refuses("X", lambda: checks.array("X", value, None), "dtype bool of a value: convert it")


@pytest.mark.parametrize("good", [ONE, TWO])
@pytest.mark.parametrize("kind", KINDS | AXES | REAL)
def test_every_kind_of_bad_array_is_named_with_the_way_out(good, kind):
    bad, message = (KINDS | AXES | REAL)[kind](good)
    refuses("X", lambda: checks.array("X", bad, good.ndim), message)


@given(arrays(float, array_shapes(max_dims=3), elements=st.floats(-9, 9)), st.data())
def test_the_first_bad_number_is_placed(A, data):
    value = data.draw(st.sampled_from([np.nan, np.inf, -np.inf, 1e101, -1e101]))
    where = tuple(data.draw(st.integers(0, n - 1)) for n in A.shape)
    A[where] = value
    later = [i for i in np.ndindex(A.shape) if i > where]
    if later:
        A[later[-1]] = np.nan
    got = "NaN" if np.isnan(value) else str(value)
    refuses("A", lambda: checks.array("A", A, A.ndim), f"got {got} at {list(where)}")


def test_limits_are_said_and_belong_to_what_is_allowed():
    assert checks.array("p", [0, 1], 1, 0, 1).tolist() == [0, 1]
    refuses("p", lambda: checks.array("p", [0, 1.5], 1, 0, 1), "from 0 to 1, got 1.5 at [1]")
    refuses("p", lambda: checks.array("p", [0, -1e-300], 1, 0), "from 0 to 1e+100, got -1e-300 at")
    refuses("r", lambda: checks.number("r", 0, checks.POSITIVE), "numbers above 0 to 1e+100, got 0")


def test_what_is_too_large_for_the_precision_is_refused():
    many = np.full(2, np.longdouble(2) ** 2000) if np.finfo("g").maxexp > 2000 else [1e300, 1]
    refuses("A", lambda: checks.array("A", many, 1), " at [0]")
    refuses("A", lambda: checks.array("A", [1e60, 1], 1, -1e30, 1e30, np.float32), "got inf at [0]")
    assert checks.array("A", [0.1, 1], 1, -1e30, 1e30, np.float32).dtype == np.float32


def test_a_column_for_y_is_told_how_to_become_flat():
    for y in (ONE[:, None], ONE[None], ONE[:, None].tolist(), pd.DataFrame({"y": ONE})):
        refuses("y", lambda y=y: checks.pair(TWO, y), "use .ravel(), or .squeeze() of a DataFrame")
    refuses("y", lambda: checks.pair(TWO, TWO), "got shape (3, 2)")
    assert checks.pair(TWO, pd.DataFrame({"y": ONE}).squeeze())[1].tolist() == [1, 2, 3]


def test_a_wrong_length_says_both():
    refuses("y", lambda: checks.pair(TWO, [1, 2]), "expected 3 values, as many as rows of X, got 2")
    refuses("w", lambda: checks.length("w", [], 2, "columns of X"), "2 values", "got 0")
    assert checks.length("w", [5, 6], 2, "columns of X") is None


@given(st.integers(1, 5), st.integers(1, 4))
def test_a_pair_fits_and_keeps_its_values(n, d):
    X, y = np.arange(n * d).reshape(n, d), np.arange(n)
    found = checks.pair(pd.DataFrame(X), y.tolist())
    assert [a.dtype for a in found] == [np.float64] * 2
    assert np.array_equal(found[0], X)
    assert np.array_equal(found[1], y)


@pytest.mark.parametrize("NA", [None, pd.NA, np.nan])
def test_a_missing_value_in_a_nullable_column_names_the_column(NA):
    table = pd.DataFrame({"age": pd.array([1, NA], dtype="Int64"), "size": [1.0, 2.0]})
    refuses(
        "X", lambda: checks.array("X", table, 2), "dtype Int64 in column 'age'", "astype(float)"
    )
    refuses("y", lambda: checks.array("y", table["age"], 1), "dtype Int64: ", "astype(float)")
    refuses("X", lambda: checks.array("X", table.astype(float), 2), "got NaN at [1, 0]")


@pytest.mark.parametrize("make", [sparse.csr_array, sparse.csr_matrix, sparse.dok_array])
def test_sparse_matrices_of_every_make_are_told_apart(make):
    refuses("X", lambda: checks.array("X", make(TWO), 2), f"sparse {make.__name__}", ".toarray()")


def test_tensors_that_numpy_cannot_read_are_refused():
    for tensor in (
        torch.ones(2, requires_grad=True),
        torch.ones(2, dtype=torch.bfloat16),
        torch.eye(2).to_sparse(),
        torch.ones(2, device="meta"),
    ):
        refuses("X", lambda tensor=tensor: checks.array("X", tensor, 1))


# Numbers ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [2, 2.0, np.float32(2), np.int8(2), np.array(2), torch.tensor(2)])
def test_one_number_in_any_form_is_a_float(value):
    found = checks.number("lam", value)
    assert type(found) is float
    assert found == 2


@pytest.mark.parametrize(
    "value",
    [True, np.True_, None, "2", b"2", {}, [2], 2j, np.nan, np.inf, -np.inf, 10**400, np.ma.masked,
     np.ma.array(2.0), np.array([2.0]), pd.NA, pd.Series([2.0])],
)  # fmt: skip
def test_what_is_not_one_number_is_refused(value):
    refuses("lam", lambda: checks.number("lam", value))


@pytest.mark.parametrize("value", [2, np.int64(2), np.uint8(2), np.array(2), torch.tensor(2)])
def test_one_integer_in_any_form_is_an_int(value):
    found = checks.integer("k", value, 2, 2)
    assert type(found) is int
    assert found == 2


@pytest.mark.parametrize("value", [*BAD_INTEGERS, torch.tensor([2]), torch.tensor(True), 2j, {}])
def test_what_is_not_an_integer_is_refused(value):
    refuses("k", lambda: checks.integer("k", value), "an integer of at least 1")


def test_an_integer_says_its_limits_and_why():
    refuses("k", lambda: checks.integer("k", 4, 1, 3), "an integer from 1 to 3, got 4")
    refuses("k", lambda: checks.integer("k", 4, 1, 3, ", the points"), "to 3, the points, got 4")
    assert checks.integer("k", 10**30) == 10**30


def test_a_long_value_is_shortened():
    with pytest.raises(ValueError, match=r"^k: ") as error:
        checks.integer("k", list(range(10**5)))
    assert len(str(error.value)) < 120


# Generators ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [np.random.Generator, torch.Generator])
def test_a_generator_is_itself_and_none_is_chance(kind):
    one = checks.generator(5, kind)
    assert isinstance(one, kind)
    assert checks.generator(one, kind) is one
    assert isinstance(checks.generator(None, kind), kind)


@pytest.mark.parametrize("seed", [*GOOD_SEEDS, torch.tensor(3)])
def test_a_seed_gives_the_generator_that_it_gives_elsewhere(seed):
    expected = np.random.default_rng(3).random(4)
    assert np.array_equal(checks.generator(seed).random(4), expected)
    mine = torch.rand(4, generator=checks.generator(seed, torch.Generator))
    assert torch.equal(mine, torch.rand(4, generator=torch.Generator().manual_seed(3)))


def test_chance_differs_and_a_seed_may_be_long():
    a, b = (torch.rand(4, generator=checks.generator(None, torch.Generator)) for _ in range(2))
    assert not torch.equal(a, b)
    assert not np.array_equal(checks.generator(None).random(4), checks.generator(None).random(4))
    long = 2**127 + 5
    assert np.array_equal(checks.generator(long).random(4), np.random.default_rng(long).random(4))
    assert isinstance(checks.generator(long, torch.Generator), torch.Generator)


@pytest.mark.parametrize("kind", [np.random.Generator, torch.Generator])
@pytest.mark.parametrize("rng", BAD_RNG)
def test_what_is_no_generator_is_refused(rng, kind):
    refuses("rng", lambda: checks.generator(rng, kind), "at least 0, or a Generator")
    refuses("g", lambda: checks.generator(rng, kind, "g"))


def test_one_library_s_generator_is_not_the_other_s():
    refuses("rng", lambda: checks.generator(torch.Generator()))
    refuses("rng", lambda: checks.generator(np.random.default_rng(0), torch.Generator))


# Ids -------------------------------------------------------------------------------------------


@given(st.data(), st.sampled_from(["i1", "u1", ">i4", "u8"]), st.integers(1, 9))
def test_ids_of_any_whole_dtype_and_shape_become_int64(data, dtype, size):
    shape = data.draw(array_shapes(min_dims=0, max_dims=2))
    A = data.draw(arrays(np.int8, shape, elements=st.integers(0, size - 1))).astype(dtype)
    for value in (A, A.tolist(), *([pd.Series(A.astype("i8"))] if A.ndim == 1 else [])):
        found = checks.ids("users", value, size)
        assert found.dtype == np.int64
        assert np.array_equal(found, A)


def test_no_ids_are_ids_unless_some_are_asked_for():
    for nothing in ([], np.array([]), np.zeros(0, bool), ()):
        assert checks.ids("seen", nothing, 3).dtype == np.int64
        refuses("seen", lambda nothing=nothing: checks.ids("seen", nothing, 3, 1), "(0,)")


@pytest.mark.parametrize("kind", KINDS | IDS)
def test_every_kind_of_bad_ids_is_named(kind):
    bad, message = (KINDS | IDS)[kind](ONE)
    refuses("users", lambda: checks.ids("users", bad, 9), message)


def test_the_first_id_outside_is_placed():
    refuses("u", lambda: checks.ids("u", [[0, 1], [9, 2]], 9), "from 0 to 8, got 9 at [1, 0]")
    refuses("u", lambda: checks.ids("u", np.int8([0, -1]), 500), "from 0 to 499, got -1 at [1]")
    refuses("u", lambda: checks.ids("u", np.uint64([2**63])), "got 9223372036854775808 at [0]")
    refuses("u", lambda: checks.ids("u", 5, 5), "from 0 to 4, got 5")


# Tensors ---------------------------------------------------------------------------------------


def test_a_tensor_is_itself_with_its_gradient():
    for tensor in (torch.ones(3), torch.ones(3, requires_grad=True), torch.ones(3).bfloat16()):
        assert checks.tensor("s", tensor, 1) is tensor
    assert checks.tensor("s", torch.tensor([1.0, np.nan]), 1, finite=False).isnan().any()
    meta = torch.ones(3, device="meta")  # a device whose numbers cannot be looked at
    assert checks.tensor("s", meta, 1, finite=False) is meta


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_bad_array_is_no_tensor_either(kind):
    bad, message = KINDS[kind](ONE)
    refuses("s", lambda: checks.tensor("s", bad, 1), message)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.ones(3), "a dense, real torch.Tensor, got ndarray float64"),
        ([1.0, 2.0], "torch.Tensor, got list"),
        (torch.ones(3) > 0, "dtype bool"),
        (torch.ones(3) * 1j, "dtype complex64"),
        (torch.eye(3).to_sparse(), "to_dense"),
        (torch.ones(3, 1), "use .ravel()"),
        (torch.ones(0), "got shape (0,)"),
        (torch.tensor([1.0, np.nan]), "got NaN at [1]"),
        (torch.tensor([1.0, -np.inf], requires_grad=True), "got -inf at [1]"),
        (torch.tensor([1.0, np.nan]).bfloat16(), "got NaN at [1]"),
    ],
)
def test_bad_tensors_are_refused(value, message):
    refuses("s", lambda: checks.tensor("s", value, 1), message)


def test_a_number_behind_a_mask_is_no_integer():
    with pytest.raises(ValueError, match="n: expected an integer of at least 1"):
        checks.integer("n", np.ma.array(3, mask=True))
    assert checks.integer("n", np.ma.array(3)) == 3
