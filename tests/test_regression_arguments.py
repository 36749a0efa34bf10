"""Bad arguments of the regression notebook's functions are refused by name."""

import numpy as np
import pandas as pd
import pytest
from bad_arguments import AXES, BAD_RNG, GOOD_SEEDS, KINDS, REAL, cases, refuses, same
from regression_cases import LAMS, draw, nb

X_OK, Y_OK = draw(6, 2)
FITS = {
    "normal_equation": lambda X, y: nb.normal_equation(X, y),
    "minimum_norm": lambda X, y: nb.minimum_norm(X, y),
    "qr_least_squares": lambda X, y: nb.qr_least_squares(X, y),
    "ridge_path": lambda X, y: nb.ridge_path(X, y, [1.0]),
    "leave_one_out_mse": lambda X, y: nb.leave_one_out_mse(X, y, [1.0]),
    "generalised_cv_mse": lambda X, y: nb.generalised_cv_mse(X, y, [1.0]),
    "k_fold_mse": lambda X, y: nb.k_fold_mse(X, y, [1.0], 2, np.random.default_rng(0)),
    "gradient_descent": lambda X, y: nb.gradient_descent(X, y),
}
BAD_X = {
    "empty": np.empty((0, 2)),
    "no columns": np.empty((6, 0)),
    "one axis": np.ones(6),
    "three axes": np.ones((6, 2, 1)),
    "nan": np.where(X_OK == X_OK[3, 1], np.nan, X_OK),
    "infinity": np.where(X_OK == X_OK[3, 1], np.inf, X_OK),
    "minus infinity": np.where(X_OK == X_OK[3, 1], -np.inf, X_OK),
    "too large to square": X_OK * 1e200,
    "text": np.full((6, 2), "1"),
    "complex": X_OK + 0j,
    "objects": X_OK.astype(object),
    "ragged": [[1.0, 2.0], [3.0]],
    "none": None,
}
BAD_Y = {
    "too short": Y_OK[:5],
    "a column": Y_OK[:, None],
    "nan": np.append(Y_OK[:5], np.nan),
    "infinity": np.append(Y_OK[:5], np.inf),
    "empty": [],
    "scalar": 1.0,
}
BAD_LAM = [-1.0, -1e-300, np.nan, np.inf, "1", None, [1.0], True, 1j]


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("bad", BAD_X)
def test_bad_X(fit, bad):
    with pytest.raises(ValueError, match=r"^X: "):
        FITS[fit](BAD_X[bad], Y_OK)


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("bad", BAD_Y)
def test_bad_y(fit, bad):
    with pytest.raises(ValueError, match=r"^y: "):
        FITS[fit](X_OK, BAD_Y[bad])


@pytest.mark.parametrize("lam", BAD_LAM)
def test_bad_lam(lam):
    with pytest.raises(ValueError, match=r"^lam: "):
        nb.normal_equation(X_OK, Y_OK, lam)
    with pytest.raises(ValueError, match=r"^lam: "):
        nb.gradient_descent(X_OK, Y_OK, lam)


@pytest.mark.parametrize(
    "lams", [*[[1.0, lam] for lam in BAD_LAM if lam is not True], [], 1.0, [[1.0]]]
)
def test_bad_lams(lams):
    for measure in [nb.ridge_path, nb.leave_one_out_mse, nb.generalised_cv_mse]:
        with pytest.raises(ValueError, match=r"^lams: "):
            measure(X_OK, Y_OK, lams)
    with pytest.raises(ValueError, match=r"^lams: "):
        nb.effective_dof(X_OK, lams)
    with pytest.raises(ValueError, match=r"^lams: "):
        nb.k_fold_mse(X_OK, Y_OK, lams, 2, np.random.default_rng(0))
    with pytest.raises(ValueError, match=r"^lams: "):
        nb.bias_variance(X_OK, [1.0, 2.0], 1.0, lams)


@pytest.mark.parametrize("k", [1, 0, -1, 7, 2.0, True, None])
def test_bad_k(k):
    with pytest.raises(ValueError, match=r"^k: "):
        nb.k_fold_mse(X_OK, Y_OK, LAMS, k, np.random.default_rng(0))


def test_other_bad_arguments():
    for steps in [0, -1, 2.0, True, None]:
        with pytest.raises(ValueError, match=r"^steps: "):
            nb.gradient_descent(X_OK, Y_OK, steps=steps)
    for step in [0, -1.0, np.nan, np.inf, "1"]:
        with pytest.raises(ValueError, match=r"^step: "):
            nb.gradient_descent(X_OK, Y_OK, step=step)
    for n_train in [0, 6, -1, 2.0, True, None]:
        with pytest.raises(ValueError, match=r"^n_train: "):
            nb.split(6, n_train, np.random.default_rng(0))
    with pytest.raises(ValueError, match=r"^n: "):
        nb.split(1, 1, np.random.default_rng(0))
    for measure in [nb.leave_one_out_mse, nb.generalised_cv_mse]:
        with pytest.raises(ValueError, match=r"^X: expected at least 2 rows"):
            measure([[1.0]], [1.0], [1.0])
    with pytest.raises(ValueError, match=r"^w: "):
        nb.bias_variance(X_OK, [1.0], 1.0, [1.0])
    with pytest.raises(ValueError, match=r"^noise: "):
        nb.bias_variance(X_OK, [1.0, 2.0], -1.0, [1.0])


def test_bad_arguments_of_the_bootstrap_and_of_moments():
    for name, bad in [("times", 0), ("times", 2.5), ("blocks", 1), ("most", 199), ("most", True)]:
        refuses(name, lambda bad={name: bad}: nb.bootstrap_weights(X_OK, Y_OK, 1.0, 0, **bad))
    M = nb.products(X_OK, Y_OK)
    refuses("M", lambda: nb.ridge_of_products(M[:2], 1.0), "4 values, as many as its columns")
    refuses("M", lambda: nb.ridge_of_products(M * np.nan, 1.0))
    refuses("lam", lambda: nb.ridge_of_products(M, -1.0))


# Kinds, the same for every function -------------------------------------------------------------

X = np.array([[1, 2], [3, 5], [8, 1], [2, 2], [5, 7], [4, 9]])
Y, W, L = np.array([1, 3, 2, 5, 4, 4]), np.array([1, 2]), np.array([1, 10, 100])
ARRAYS = {
    "normal_equation": (nb.normal_equation, {"X": X, "y": Y}, "Xy"),
    "minimum_norm": (nb.minimum_norm, {"X": X, "y": Y}, "Xy"),
    "qr_least_squares": (nb.qr_least_squares, {"X": X, "y": Y}, "Xy"),
    "gradient_descent": (nb.gradient_descent, {"X": X, "y": Y}, "Xy"),
    "ridge_path": (nb.ridge_path, {"X": X, "y": Y, "lams": L}, ["X", "y", "lams"]),
    "effective_dof": (nb.effective_dof, {"X": X, "lams": L}, ["X", "lams"]),
    "leave_one_out_mse": (nb.leave_one_out_mse, {"X": X, "y": Y, "lams": L}, ["X", "y", "lams"]),
    "generalised_cv_mse": (nb.generalised_cv_mse, {"X": X, "y": Y, "lams": L}, ["X", "y", "lams"]),
    "k_fold_mse": (
        nb.k_fold_mse,
        {"X": X, "y": Y, "lams": L, "k": 3, "rng": 0},
        ["X", "y", "lams"],
    ),
    "t_half_widths": (nb.t_half_widths, {"X": X, "y": Y}, "Xy"),
    "products": (nb.products, {"X": X, "y": Y}, "Xy"),
    "moments": (nb.moments, {"X": X, "y": Y}, "Xy"),
    "ridge_of": (nb.ridge_of, {"M": nb.moments(X, Y), "lams": L}, ["lams"]),
    "bootstrap_weights": (
        nb.bootstrap_weights,
        {"X": X, "y": Y, "lam": 1, "rng": 0, "times": 5},
        "Xy",
    ),
    "bias_variance": (
        nb.bias_variance,
        {"X": X, "w": W, "noise": 1, "lams": L},
        ["X", "w", "lams"],
    ),
}
RANDOM = {
    "split": lambda rng: nb.split(6, 3, rng),
    "k_fold_mse": lambda rng: nb.k_fold_mse(X, Y, L, 3, rng),
    "bootstrap_weights": lambda rng: nb.bootstrap_weights(X, Y, 1.0, rng, 5),
}


@cases(ARRAYS, KINDS | AXES | REAL)
def test_every_kind_of_bad_array_is_named_with_the_way_out(function, good, name, kind):
    bad, message = kind(good[name])
    refuses(name, lambda: function(**good | {name: bad}), message)


@pytest.mark.parametrize("label", ARRAYS)
def test_lists_tables_and_columns_of_numbers_do_as_arrays(label):
    function, good, _ = ARRAYS[label]
    arrays = {name: value for name, value in good.items() if isinstance(value, np.ndarray)}
    frames = {n: pd.DataFrame(v) if v.ndim == 2 else pd.Series(v) for n, v in arrays.items()}
    lists = {name: value.tolist() for name, value in arrays.items()}
    assert same(function(**good | lists), function(**good))
    assert same(function(**good | frames), function(**good))


@pytest.mark.parametrize("label", [label for label in ARRAYS if "y" in ARRAYS[label][1]])
def test_a_column_or_a_wrong_length_of_y_says_the_way_or_both(label):
    function, good, _ = ARRAYS[label]
    refuses("y", lambda: function(**good | {"y": Y[:, None]}), "use .ravel()")
    refuses("y", lambda: function(**good | {"y": Y[:5]}), "6 values, as many as rows of X, got 5")


def test_a_wrong_number_of_weights_says_both():
    refuses("w", lambda: nb.bias_variance(X, [1], 1, L), "2 values, as many as columns", "got 1")


@pytest.mark.parametrize("function", RANDOM)
@pytest.mark.parametrize("rng", BAD_RNG)
def test_what_is_no_generator_is_refused(function, rng):
    refuses("rng", lambda: RANDOM[function](rng))


@pytest.mark.parametrize("function", RANDOM)
@pytest.mark.parametrize("seed", GOOD_SEEDS)
def test_a_seed_does_as_its_generator(function, seed):
    assert same(RANDOM[function](seed), RANDOM[function](np.random.default_rng(3)))


def test_integers_of_numpy_do_as_ints():
    for k in (np.int64(3), np.uint8(3), np.array(3)):
        assert same(nb.k_fold_mse(X, Y, L, k, 0), nb.k_fold_mse(X, Y, L, 3, 0))
        assert same(nb.split(np.int8(6), k, 0), nb.split(6, 3, 0))
        assert same(nb.gradient_descent(X, Y, steps=k), nb.gradient_descent(X, Y, steps=3))
