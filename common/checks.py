"""Check arguments: each function returns its argument in one plain form, or says what is wrong.

Every error is a ValueError "name: expected ..., got ...", raised before any work. pandas, SciPy
and PyTorch are known by what their objects can do, so that none of them is imported here.
"""

import numpy as np

POSITIVE = np.finfo(float).tiny  # the `least` of a number that must be above 0


def array(name, value, ndim, least=-1e100, most=1e100, dtype=np.float64):
    """Return `value` as a non-empty array of floats with `ndim` axes, from `least` to `most`.

    With `ndim` None it may have any number of axes. A `dtype` other than float64 needs limits
    that it can hold.
    ValueError for NaN and infinity, with the first one's place, and for all that `plain` refuses.
    """
    A = axes(name, plain(name, value), ndim)
    with np.errstate(over="ignore"):  # what is too large becomes infinite, which is refused
        A = A.astype(dtype, copy=False)
    return inside(name, A, least, most)


def pair(X, y, rows=1):
    """Return X (n, d) and y (n,) as finite float64; ValueError unless each row has its value.

    And unless there are at least `rows` of them.
    """
    X, y = array("X", X, 2), array("y", y, 1)
    length("y", y, len(X), "rows of X")
    if len(X) < rows:
        raise ValueError(f"X: expected at least {rows} rows, got {len(X)}")
    return X, y


def number(name, value, least=-1e100, most=1e100):
    """Return `value` as a float; ValueError unless it is one number from `least` to `most`."""
    return float(array(name, value, 0, least, most))


def integer(name, value, least=1, most=np.inf, why=""):
    """Return `value` as an int from `least` to `most`; `why` ends what the error expects."""
    whole = value if np.ma.is_masked(value) or getattr(value, "ndim", 1) else value.item()
    if type(whole) is bool or not isinstance(whole, int) or not least <= whole <= most:
        limit = f"of at least {least}" if most == np.inf else f"from {least} to {most}"
        raise ValueError(f"{name}: expected an integer {limit}{why}, got {value!r:.60}")
    return whole


def length(name, values, n, of):
    """Raise ValueError unless there are `n` values, as many as of what `of` names."""
    if len(values) != n:
        raise ValueError(f"{name}: expected {n} values, as many as {of}, got {len(values)}")


def ids(name, values, size=2**63, ndim=None):
    """Return whole numbers from 0 to below `size` as int64; of any shape, or none, by default."""
    A = plain(name, values, "iu")
    A = A if ndim is None else axes(name, A, ndim)
    return inside(name, A, 0, size - 1).astype(np.int64, copy=False)


def generator(rng, kind=np.random.Generator, name="rng"):
    """Return `rng` if it is a `kind`, else a new one from a whole seed, or from None by chance.

    `kind` is numpy.random.Generator or torch.Generator.
    """
    if isinstance(rng, kind):
        return rng
    rng = np.random.SeedSequence().entropy if rng is None else rng
    seed = integer(name, rng, 0, why=f", or a {kind.__name__}")
    numpy = kind is np.random.Generator
    return np.random.default_rng(seed) if numpy else kind().manual_seed(seed % 2**64)


def tensor(name, value, ndim, finite=True):
    """Return `value` itself; ValueError unless it is a non-empty, real tensor with `ndim` axes."""
    got = f"{getattr(value, 'layout', type(value).__name__)} {getattr(value, 'dtype', '')}"
    if "strided" not in got or "bool" in got or "complex" in got:
        plain(name, value)  # which says more, if it is no array of numbers either
        raise ValueError(f"{name}: expected a dense, real torch.Tensor, got {got}")
    if finite and not axes(name, value, ndim).isfinite().all():
        array(name, value.detach().cpu().double(), ndim)
    return axes(name, value, ndim)


def plain(name, value, kinds="iuf"):
    """Return `value` as an array of its own dtype: real ("iuf") or whole ("iu") numbers, or none.

    ValueError for what np.asarray would convert in silence: masked arrays, whose mask it drops,
    sparse matrices, booleans, texts, objects, and the nullable columns of pandas.
    """
    parts = value if isinstance(value, list | tuple) else ()
    kind, way = ("real", "float") if "f" in kinds else ("whole", "int")
    try:
        if any(map(np.ma.isMaskedArray, (value, *parts))):
            raise TypeError("a masked array: use .filled(), or .compressed() to drop the masked")
        if hasattr(value, "toarray"):
            raise TypeError(f"sparse {type(value).__name__}: convert it by .toarray()")
        A = np.asarray(value)
        table = getattr(getattr(value, "dtypes", None), "items", tuple)()  # of a DataFrame
        columns = [(f" in column {column!r}", dtype) for column, dtype in table]
        flat = np.array([part for part in parts if not getattr(part, "ndim", 0)], object).flat
        mixed = any(isinstance(part, bool | np.bool_) for part in flat) and np.dtype(bool)
        columns += [("", getattr(value, "dtype", None)), ("", A.dtype), (" of a value", mixed)]
        for where, dtype in columns if A.size else ():
            if hasattr(dtype, "na_value") or getattr(dtype, "kind", kinds[0]) not in kinds:
                got = f"dtype {dtype}{where}: convert it by .astype({way})"
                raise TypeError(got if A.ndim else f"{value!r:.60}")
    except (ValueError, TypeError, RuntimeError) as error:  # of NumPy and PyTorch too
        got = "rows of unequal length" if "inhomogeneous" in str(error) else error
        raise ValueError(f"{name}: expected {kind} numbers, got {got}") from None
    return A


def axes(name, A, ndim):
    """Return the array or tensor; ValueError unless it has `ndim` (or any) axes, none empty."""
    if ndim not in (None, A.ndim) or 0 in A.shape:
        expected = "one number" if ndim == 0 else f"a non-empty array, ndim = {ndim or 'any'}"
        flat = "use .ravel(), or .squeeze() of a DataFrame" if 1 in A.shape else "give one column"
        hints = {(1, 2): f": {flat}", (2, 1): ": use .reshape(-1, 1) of one column"}
        hint = hints.get((ndim, A.ndim), "") if A.size else ""
        raise ValueError(f"{name}: expected {expected}, got shape {tuple(A.shape)}{hint}")
    return A


def inside(name, A, least, most):
    """Return the array; ValueError, with the place, unless all is from `least` to `most`."""
    if A.size and not (least <= A.min() and A.max() <= most):  # false for NaN too
        first = np.unravel_index(np.argmin((A >= least) & (A <= most)), A.shape)
        got = f"{A[first]}".replace("nan", "NaN") + f" at {[*map(int, first)]}" * (A.ndim > 0)
        low = "above 0" if least == POSITIVE else f"from {least}"
        kind = "finite" if A.dtype.kind == "f" else "whole"
        raise ValueError(f"{name}: expected {kind} numbers {low} to {most}, got {got}")
    return A
