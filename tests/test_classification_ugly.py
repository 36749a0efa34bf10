"""Ugly inputs of the classification notebook: a right answer, or an error that names them."""

import numpy as np
import pytest
import torch
from bad_arguments import refuses
from classification_cases import GRADIENTS, LOSSES, nb

S, Y = torch.tensor([1.0, -2.0, 3.0]), torch.tensor([1, 1, 1], dtype=torch.uint8)
X = np.array([[1.0, 2.0], [3.0, 5.0], [8.0, 1.0], [2.0, 2.0]])
SIGNS = np.array([1, -1, -1, 1])


@pytest.mark.parametrize("loss", LOSSES)
def test_labels_of_a_type_without_a_sign_give_what_floats_give(loss):
    assert loss(S, Y) == loss(S, Y.float())
    assert torch.equal(GRADIENTS[loss](S, Y), GRADIENTS[loss](S, Y.float()))


@pytest.mark.parametrize("function", [*LOSSES, *GRADIENTS.values()])
def test_scores_of_whole_numbers_are_refused(function):
    refuses("s", lambda: function(S.to(torch.int8), Y.float()), "got torch.int8")


def test_errors_of_whole_scores_do_not_overflow():
    s, y = torch.tensor([-128, 127], dtype=torch.int8), torch.tensor([-1, 1], dtype=torch.int8)
    assert nb.wrong(s, y).tolist() == [False, False]
    assert nb.wrong(s.numpy(), y).tolist() == [False, False]
    assert nb.wrong(s, -y.numpy()).tolist() == [True, True]
    refuses("s", lambda: nb.wrong(s > 0, y))


def test_one_label_among_many_in_half_precision_is_still_the_other():
    y = torch.ones(5000, dtype=torch.half)
    y[3] = -1
    nb.check_labels(y, 5000, "scores", both=True)


@pytest.mark.parametrize("convolve", [nb.convolve_loop, nb.convolve])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.int8, torch.int16])
def test_convolutions_of_small_whole_numbers_do_not_wrap(convolve, dtype):
    z = convolve(*(torch.full(n, 100, dtype=dtype) for n in [(1, 1, 3, 3), (1, 1, 3, 3), (1,)]))
    assert z.item() == 9 * 100 * 100 + 100


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"X": X * np.nan}, "X"),
        ({"lam": -1}, "lam"),
        ({"lam": np.nan}, "lam"),
        ({"rel": np.nan}, "rel"),
        ({"theta": np.zeros(2)}, "theta"),
        ({"theta": np.full(3, np.nan)}, "theta"),
        ({"y": SIGNS > 0}, "y"),
    ],
)
def test_newton_names_what_it_cannot_take(changes, name):
    good = {"X": X, "y": SIGNS, "loss": "logistic", "lam": 0.1, "theta": np.zeros(3)}
    refuses(name, lambda: nb.newton(**good | changes))


def test_linear_scores_take_lists_and_tensors_and_name_weights_of_another_length():
    expected = X @ [1, 2] + 3
    for make in (np.asarray, torch.as_tensor, lambda a: np.asarray(a).tolist()):
        np.testing.assert_allclose(nb.linear_scores(make([1.0, 2.0, 3.0]), make(X)), expected)
    refuses("theta", lambda: nb.linear_scores(np.ones(2), X), "3 values", "got 2")


def test_conjugate_gradients_name_what_is_not_finite():
    refuses("g", lambda: nb.conjugate_gradients(lambda v: v, np.full(3, np.nan), 1e-6))


def test_images_of_another_size_are_refused():
    refuses("images", lambda: nb.to_tensors(np.zeros((1, 32, 32), int), [1]), "(1, 32, 32)")


@pytest.mark.parametrize("edges", [(0.5, 0), (0,), (0, 0), (0, 0.5, 0.5)])
def test_bins_that_do_not_rise_are_refused(edges):
    refuses("edges", lambda: nb.reliability(S, SIGNS[[0, 1, 3]], edges))


def test_a_draw_has_both_digits():
    images = torch.zeros(4, 1, 28, 28)
    refuses("n", lambda: nb.draw(1, 0, (images, torch.tensor(SIGNS))))
    refuses("y", lambda: nb.draw(2, 0, (images, torch.ones(4))), "and both")


def test_one_step_far_too_large_says_so():
    images = torch.rand(6, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    y = torch.tensor([1.0, -1, 1, -1, 1, -1])
    with pytest.raises(FloatingPointError, match="try lr"):
        nb.fit(nb.initialise(nb.linear(), 0), nb.logistic_loss, (images, y), 0, epochs=1, lr=1e6)


def test_copies_in_double_precision_are_those_in_single():
    images = torch.rand(3, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(nb.augment(images.double(), 1).float(), nb.augment(images, 1), atol=1e-5)


def test_ink_of_what_is_no_picture_is_refused():
    refuses("picture", lambda: nb.ink_of(np.zeros((9, 9), np.uint8)), "ndim = 3")
    refuses("picture", lambda: nb.ink_of(np.zeros((0, 9, 3), np.uint8)))
    refuses("picture", lambda: nb.ink_of(np.full((9, 9, 3), np.nan)))
    with pytest.raises(ValueError, match=r"^ink"):
        nb.as_mnist(np.zeros((9, 5)))


@pytest.mark.parametrize(
    "shifts", [(), ((0,),), ((0.5, 0),), "ab", ((0, 0, 0),), 5, ((100, 0),), None, ((True, False),)]
)
def test_shifts_that_are_no_pairs_of_pixels_are_refused(shifts):
    images = torch.rand(3, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    refuses("shifts", lambda: nb.scores(nb.linear(), images, shifts))


@pytest.mark.parametrize("digits", [(1,), (1, 1), (1, 7, 3), "17", None, (1.5, 7), 17, (1, 10)])
def test_digits_that_are_no_pair_are_refused(digits):
    refuses("digits", lambda: nb.to_tensors(np.zeros((2, 28, 28), np.uint8), [1, 7], digits))


def test_copies_are_made_of_floats_by_sizes_that_are_numbers():
    images = torch.rand(3, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    refuses("X", lambda: nb.augment((images * 255).to(torch.uint8), 0), "torch.uint8")
    for name in ("turn", "stretch", "shear", "shift"):
        for bad in (-0.1, float("nan"), "a", [0.1]):
            refuses(name, lambda name=name, bad=bad: nb.augment(images, 0, **{name: bad}))
    refuses("A", lambda: nb.warp(images, torch.zeros(2, 2, 3)), "for each image")
    refuses("A", lambda: nb.warp(images, torch.zeros(3, 3, 2)), "for each image")


def test_counts_of_errors_are_compared_exactly_up_to_ten_thousand():
    assert nb.mcnemar(10_000, 10_000) == 1
    assert nb.mcnemar(10_000, 0) == 0  # below the smallest float
    refuses("b", lambda: nb.mcnemar(10_001, 0), "10000")


def test_a_warp_samples_where_pytorch_s_own_grid_does():
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(20, 1, 28, 28, generator=generator)
    maps = 2 * torch.rand(20, 2, 3, generator=generator) - 1
    grid = torch.nn.functional.affine_grid(maps, images.shape, align_corners=False)
    theirs = torch.nn.functional.grid_sample(images, grid, align_corners=False)
    assert torch.allclose(nb.warp(images, maps), theirs, atol=1e-5)
    assert torch.allclose(nb.warp(images.double(), maps.double()).float(), theirs, atol=1e-5)
