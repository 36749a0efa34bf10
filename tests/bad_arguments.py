"""Kinds of arguments that are refused, whatever the function, and what the error must say."""

import numpy as np
import pandas as pd
import pytest
from scipy import sparse


def last(A, value):
    """Return a copy of A, in double precision, whose last entry is `value`."""
    A = np.array(A, dtype=float)
    A.flat[-1] = value
    return A


def in_pandas(A, dtype):
    """Return A as a Series, or as a DataFrame whose column "b" alone has the dtype."""
    if np.ndim(A) == 1:
        return pd.Series(A).astype(dtype)
    frame = pd.DataFrame(A)
    frame = frame.rename(columns={frame.columns[-1]: "b"})
    return frame.astype({"b": dtype})


def column(A):
    """Return what names the column in the error, for a table."""
    return " in column 'b'" if np.ndim(A) == 2 else ""


# Each takes a good array, of one axis or two, and gives a bad one and a part of the message.
KINDS = {
    "masked": lambda A: (np.ma.masked_array(A, np.ones_like(A, dtype=bool)), ".filled()"),
    "masked, unmasked": lambda A: (np.ma.masked_array(A), ".compressed()"),
    "list of masked": lambda A: ([np.ma.masked_array(a) for a in A], ".compressed()"),
    "objects": lambda A: (np.asarray(A, dtype=object), "dtype object: convert it by .astype("),
    "booleans": lambda A: (np.asarray(A) > 0, "dtype bool: convert it by .astype("),
    "text": lambda A: (np.asarray(A).astype(str), ": convert it by .astype("),
    "nullable": lambda A: (in_pandas(A, "Int64"), f"dtype Int64{column(A)}: convert it by"),
    "text column": lambda A: (in_pandas(A, "string"), f"dtype string{column(A)}: convert it by"),
    "boolean column": lambda A: (in_pandas(A, bool), f"dtype bool{column(A)}: convert it by"),
    "category": lambda A: (in_pandas(A, "category"), f"dtype category{column(A)}: convert it by"),
    "sparse": lambda A: (sparse.coo_array(A), "sparse coo_array: convert it by .toarray()"),
    "complex": lambda A: (np.asarray(A) + 0j, "dtype complex128"),
    "ragged": lambda A: ([[1.0], [1.0, 2.0]], "rows of unequal length"),
    "nothing": lambda A: (None, "got None"),
}  # fmt: skip
AXES = {
    "empty": lambda A: (np.asarray(A)[:0], "got shape (0"),
    "an axis more": lambda A: (np.asarray(A)[..., None], "got shape ("),
    "a scalar": lambda A: (np.asarray(A).flat[0], "got shape ()"),
}
REAL = {
    "NaN": lambda A: (last(A, np.nan), "got NaN at ["),
    "infinity": lambda A: (last(A, np.inf), "got inf at ["),
    "minus infinity": lambda A: (last(A, -np.inf), "got -inf at ["),
}
IDS = {
    "fractions": lambda A: (np.asarray(A) + 0.5, "dtype float64: convert it by .astype(int)"),
    "negative": lambda A: (np.asarray(A) - 100, "numbers from 0 to "),
    "too large": lambda A: (np.asarray(A) + 10**9, "numbers from 0 to "),
}
BAD_RNG = [True, np.True_, False, "1", -1, 1.5, [1, 2], np.random.RandomState(0), np.random]
GOOD_SEEDS = [3, np.int64(3), np.uint8(3), np.array(3)]
BAD_INTEGERS = [True, np.True_, 2.0, np.float64(2), "2", None, 0, -1, [2], np.array([2]), np.nan]


def refuses(name, call, *ends):
    """Assert that the call is refused with an error that names the argument and has each end."""
    with pytest.raises(ValueError, match=rf"^{name}: expected .*, got ") as error:
        call()
    for end in ends:
        assert end in str(error.value)


def cases(functions, kinds):
    """Return parameters: every array argument of every function with every kind.

    functions: {label: (function, good arguments, names of the array arguments)}.
    """
    return pytest.mark.parametrize(
        ("function", "good", "name", "kind"),
        [
            pytest.param(function, good, name, kind, id=f"{label}-{name}-{kind_name}")
            for label, (function, good, names) in functions.items()
            for name in names
            for kind_name, kind in kinds.items()
        ],
    )


def same(a, b):
    """Whether two results hold the same numbers, but for rounding: a table lies in columns."""
    if isinstance(a, tuple | list):
        return len(a) == len(b) and all(map(same, a, b))
    if hasattr(a, "__dataclass_fields__"):
        mine, yours = ({k: v for k, v in vars(x).items() if k != "history"} for x in (a, b))
        return same(list(mine.values()), list(yours.values()))
    return np.shape(a) == np.shape(b) and np.allclose(a, b, rtol=1e-12, atol=1e-12)
