"""Bad arguments of the classification notebook's functions are refused by name."""

import math

import numpy as np
import pandas as pd
import pytest
import torch
from bad_arguments import (
    AXES,
    BAD_INTEGERS,
    BAD_RNG,
    GOOD_SEEDS,
    IDS,
    KINDS,
    REAL,
    cases,
    refuses,
    same,
)
from classification_cases import GRADIENTS, LOSSES, generator, nb

S, Y = np.array([3, -2, 1, -1, 2]), np.array([1, -1, -1, 1, 1])
FLAT = np.array([[1, 2], [3, 5], [8, 1], [2, 2], [5, 7]])
LINEAR = {"X": FLAT, "y": Y, "loss": "logistic", "lam": 0.1}
ARRAYS = {
    "sliding": (nb.sliding, {"s": S, "y": Y}, "sy"),
    "area": (nb.area, {"s": S, "y": Y}, "sy"),
    "reliability": (nb.reliability, {"s": S, "y": Y}, "sy"),
    "calibration_error": (nb.calibration_error, {"s": S, "y": Y}, "sy"),
    "edges": (nb.reliability, {"s": S, "y": Y, "edges": np.array([0, 1])}, ["edges"]),
    "temperature": (nb.temperature, {"s": S, "y": Y}, "sy"),
    "optimum": (nb.optimum, LINEAR, "Xy"),
}
DIGITS = {"images": np.full((3, 28, 28), 9), "labels": np.array([1, 7, 7])}

# Tensors: images of five, and each argument that is one.
X = torch.rand(5, 1, 28, 28, generator=generator())
SCORES = {"s": torch.tensor(S).double(), "y": torch.tensor(Y).double()}
CONVOLVED = {"X": X, "W": torch.ones(2, 1, 3, 3), "b": torch.ones(2)}


def fit(X, y, rng=0, model=None, **options):
    options = {"epochs": 1, "lr": 0.1} | options
    return nb.fit(model or nb.linear(), nb.logistic_loss, (X, y), rng, **options)


TENSORS = {
    **{f.__name__: (f, SCORES, "sy") for f in [*LOSSES, *GRADIENTS.values()]},
    "convolve_loop": (nb.convolve_loop, CONVOLVED, "XWb"),
    "convolve": (nb.convolve, CONVOLVED, "XWb"),
    "augment": (nb.augment, {"X": X, "generator": 0}, "X"),
    "fit": (fit, {"X": X, "y": SCORES["y"]}, "Xy"),
    "scores": (nb.scores, {"model": nb.linear(), "X": X}, "X"),
}  # fmt: skip
BAD_TENSORS = {
    "array": lambda t: (t.numpy(), "torch.Tensor, got ndarray"),
    "list": lambda t: (t.tolist(), "torch.Tensor, got list"),
    "masked": lambda t: (np.ma.masked_array(t.numpy()), ".filled()"),
    "column": lambda t: (pd.Series([1, 2], dtype="Int64"), "dtype Int64: convert it by .astype("),
    "nothing": lambda t: (None, "got None"),
    "booleans": lambda t: (t > 0, "dtype bool"),
    "complex": lambda t: (t * 1j, "dtype complex"),
    "sparse": lambda t: (t.to_sparse(), "to_dense"),
    "empty": lambda t: (t[:0], "got shape (0"),
    "an axis more": lambda t: (t[..., None], "got shape ("),
}
NAN = {
    "NaN": lambda t: (t * math.nan, "got NaN at ["),
    "infinity": lambda t: (t + math.inf, "got inf at ["),
}
RANDOM = {
    "initialise": lambda rng: list(nb.initialise(nb.linear(), rng).parameters()),
    "augment": lambda rng: nb.augment(X, rng),
    "fit": lambda rng: fit(X, SCORES["y"], rng, nb.initialise(nb.linear(), 1)),
}


@cases(ARRAYS, KINDS | AXES | REAL)
def test_every_kind_of_bad_array_is_named_with_the_way_out(function, good, name, kind):
    bad, message = kind(good[name])
    refuses(name, lambda: function(**good | {name: bad}), message)


@pytest.mark.parametrize("label", [label for label in ARRAYS if label != "edges"])
def test_lists_tables_columns_and_tensors_of_numbers_do_as_arrays(label):
    function, good, names = ARRAYS[label]
    for make in (
        lambda a: pd.DataFrame(a) if a.ndim == 2 else pd.Series(a),
        np.int8,
        torch.as_tensor,
        *([] if label == "optimum" else [list]),
    ):
        assert same(function(**good | {name: make(good[name]) for name in names}), function(**good))


@pytest.mark.parametrize("label", ["sliding", "reliability", "temperature", "optimum"])
def test_a_wrong_length_of_y_says_both(label):
    function, good, _ = ARRAYS[label]
    refuses("y", lambda: function(**good | {"y": Y[:4]}), "5 values, as many as", "got 4")
    refuses("y", lambda: function(**good | {"y": Y[:, None]}), "use .ravel()")


@cases({"to_tensors": (nb.to_tensors, DIGITS, ["labels"])}, KINDS | AXES | IDS | REAL)
def test_every_kind_of_bad_label_is_named(function, good, name, kind):
    refuses(name, lambda: function(**good | {name: kind(good[name])[0]}))


@pytest.mark.parametrize(
    "bad",
    [
        np.ma.masked_array(DIGITS["images"]),
        DIGITS["images"] > 0,
        DIGITS["images"].astype(object),
        DIGITS["images"].astype(str),
        DIGITS["images"] * math.nan,
        DIGITS["images"] / 255,
        DIGITS["images"] * 100,
        -DIGITS["images"],
        DIGITS["images"][0],
        DIGITS["images"][:0],
        None,
    ],
    ids=map(str, range(11)),
)
def test_every_kind_of_bad_image_is_named(bad):
    refuses("images", lambda: nb.to_tensors(**DIGITS | {"images": bad}))


def test_labels_come_in_columns_and_must_be_as_many_as_images():
    expected = nb.to_tensors(**DIGITS)
    for labels in ([1, 7, 7], pd.Series([1, 7, 7]), np.uint8([1, 7, 7]), torch.tensor([1, 7, 7])):
        assert same(nb.to_tensors(DIGITS["images"], labels), expected)
    refuses("labels", lambda: nb.to_tensors(DIGITS["images"], [1]), "3 values", "images, got 1")


def test_labels_of_other_digits_are_refused():
    images = DIGITS["images"]
    assert nb.to_tensors(images, [3, 5, 3], (3, 5))[1].tolist() == [-1, 1, -1]
    assert nb.to_tensors(images, [3, 5, 3], (5, 3))[1].tolist() == [1, -1, 1]
    refuses("labels", lambda: nb.to_tensors(images, [1, 7, 4]), "1 or 7", "got 4")
    refuses("labels", lambda: nb.to_tensors(images, [1, 7, 1], (3, 5)), "3 or 5", "got 1")


BAD_IMAGES = {
    "uint8": lambda X: ((255 * X).to(torch.uint8), "torch.float32, got (5, 1, 28, 28)"),
    "double": lambda X: (X.double(), "of torch.float64"),
    "not scaled": lambda X: (255 * X, "scaled to 0..1"),
    "RGB": lambda X: (X.expand(5, 3, 28, 28), "got (5, 3, 28, 28)"),
    "32 × 32": lambda X: (torch.zeros(5, 1, 32, 32), "got (5, 1, 32, 32)"),
    "rows": lambda X: (X.flatten(1), "got shape (5, 784)"),
    "one image": lambda X: (X[0], "got shape (1, 28, 28)"),
}


@cases({k: TENSORS[k] for k in ("fit", "scores")}, BAD_IMAGES)
def test_images_of_another_kind_are_refused(function, good, name, kind):
    if name == "X":
        bad, message = kind(good["X"])
        refuses("X", lambda: function(**good | {"X": bad}), message)


def test_a_model_in_double_precision_takes_images_in_double_precision():
    model = nb.initialise(nb.linear(), 0).double()
    fit(X.double(), SCORES["y"], model=model)
    assert nb.scores(model, X.double()).dtype == torch.float64
    refuses("X", lambda: nb.scores(model, X), "of torch.float64, got")


def test_training_takes_both_labels():
    refuses("y", lambda: fit(X, torch.ones(5)), "and both, got [1.0]")


@pytest.mark.parametrize(
    "loss",
    [
        torch.nn.functional.binary_cross_entropy_with_logits,
        torch.nn.functional.hinge_embedding_loss,
        lambda s, y: -nb.logistic_loss(s, y),
        lambda s, y: nb.logistic_loss(-s, y),
        lambda s, y: s.mean() * 0,
    ],
)
def test_a_loss_for_other_labels_is_refused(loss):
    train = (X, SCORES["y"].float())
    model = nb.initialise(nb.linear(), 0)
    before = model[1].weight.clone()
    refuses("loss", lambda: nb.fit(model, loss, train, 0, epochs=1, lr=0.1))
    assert torch.equal(model[1].weight, before)
    for good in (torch.nn.functional.soft_margin_loss, torch.nn.functional.mse_loss):
        nb.fit(model, good, train, 0, epochs=1, lr=0.1)


@cases(TENSORS, BAD_TENSORS)
def test_every_kind_of_bad_tensor_is_named_with_the_way_out(function, good, name, kind):
    bad, message = kind(good[name])
    refuses(name, lambda: function(**good | {name: bad}), message)


@cases({k: TENSORS[k] for k in TENSORS if not k.endswith("loss") and k != "augment"}, NAN)
def test_numbers_that_are_not_finite_are_named(function, good, name, kind):
    bad, message = kind(good[name])
    labels = name == "y"  # of which no other number is one
    refuses(name, lambda: function(**good | {name: bad}), "got [" if labels else message)


@pytest.mark.parametrize("loss", LOSSES)
def test_a_score_without_a_value_gives_a_loss_without_one(loss):
    """That is what a training stops at, so it must not be refused before."""
    assert loss(SCORES["s"] * math.nan, SCORES["y"]).isnan()
    refuses("y", lambda: loss(SCORES["s"], SCORES["y"] * math.nan), "nan")


def test_a_wrong_number_of_labels_or_filters_says_both():
    for function in [*LOSSES, *GRADIENTS.values()]:
        refuses("y", lambda f=function: f(SCORES["s"], SCORES["y"][:4]), "5 values", "got 4")
    refuses("y", lambda: fit(X, SCORES["y"][:4]), "5 values", "got 4")
    refuses("b", lambda: nb.convolve(**CONVOLVED | {"b": torch.ones(3)}), "2 values", "got 3")
    refuses("y", lambda: fit(X, SCORES["y"] * 2), "labels -1 and +1", "got [-2.0, 2.0]")


@pytest.mark.parametrize("function", RANDOM)
@pytest.mark.parametrize("rng", [*BAD_RNG, np.random.default_rng(0)])
def test_what_is_no_generator_is_refused(function, rng):
    refuses("generator", lambda: RANDOM[function](rng))


@pytest.mark.parametrize("function", RANDOM)
@pytest.mark.parametrize("seed", [*GOOD_SEEDS, torch.tensor(3)])
def test_a_seed_does_as_its_generator(function, seed):
    a, b = (RANDOM[function](rng) for rng in (seed, generator(3)))
    if isinstance(a, list) and isinstance(a[0], torch.Tensor):
        a, b = ([p.detach() for p in x] for x in (a, b))
    assert repr(a) == repr(b)


@pytest.mark.parametrize("value", BAD_INTEGERS)
def test_what_is_no_count_is_refused(value):
    refuses("epochs", lambda: fit(X, SCORES["y"], epochs=value))
    refuses("stride", lambda: nb.convolve(**CONVOLVED, stride=value))
    if value != 0:
        refuses("padding", lambda: nb.convolve(**CONVOLVED, padding=value))
        refuses("b", lambda: nb.mcnemar(value, 2))
        refuses("c", lambda: nb.mcnemar(2, value))


@pytest.mark.parametrize("value", [True, None, "1", [1.0], math.nan, math.inf, -1.0, 1j])
def test_what_is_no_number_is_refused(value):
    refuses("lr", lambda: fit(X, SCORES["y"], lr=value))
    refuses("lam", lambda: fit(X, SCORES["y"], lam=value))
    refuses("lam", lambda: nb.optimum(**LINEAR | {"lam": value}))
    refuses("k", lambda: nb.wilson(value, 5))
    refuses("n", lambda: nb.wilson(1, value))
    refuses("confidence", lambda: nb.wilson(1, 5, value))


@pytest.mark.parametrize("kind", KINDS | REAL)
def test_every_kind_of_bad_p_values_is_named(kind):
    bad, message = (KINDS | REAL)[kind](np.array([0, 1]))
    refuses("p", lambda: nb.holm(bad), *([] if kind == "nothing" else [message]))
    refuses("p", lambda: nb.holm([[0.5]]), "(1, 1)")
