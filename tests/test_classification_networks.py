"""The classifiers' losses, gradients, convolutions and steps, against torch and calculus."""

import itertools
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from classification_cases import GRADIENTS, LOSSES, examples, generator, nb
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from common.digits import mnist_pair


@pytest.fixture(scope="module")
def strokes():
    return nb.to_tensors(*(part[:600] for part in mnist_pair(source="strokes")[:2]))


# Losses ----------------------------------------------------------------------------------------


@given(n=st.integers(1, 40), seed=st.integers(0, 10_000))
def test_losses_equal_torchs(n, seed):
    s, y = examples(n, seed)
    logistic = F.binary_cross_entropy_with_logits(s, (y + 1) / 2)
    hinge = F.hinge_embedding_loss(y * s, -torch.ones_like(s))
    assert nb.logistic_loss(s, y).item() == pytest.approx(logistic.item(), rel=1e-13)
    assert nb.hinge_loss(s, y).item() == pytest.approx(hinge.item(), rel=1e-13)
    two = torch.stack([-s / 2, s / 2], 1)
    squared = 2 * F.multi_margin_loss(two, (y > 0).long(), p=2)
    assert nb.squared_hinge_loss(s, y).item() == pytest.approx(squared.item(), rel=1e-13)


@pytest.mark.parametrize("loss", LOSSES)
@given(n=st.integers(1, 20), seed=st.integers(0, 10_000))
def test_gradients_equal_autograd_and_central_differences(loss, n, seed):
    s, y = examples(n, seed)
    by_hand = GRADIENTS[loss](s, y)
    leaf = s.clone().requires_grad_()
    (automatic,) = torch.autograd.grad(loss(leaf, y), leaf)
    torch.testing.assert_close(by_hand, automatic, rtol=1e-12, atol=1e-15)
    h = 1e-6
    steps = h * torch.eye(n, dtype=s.dtype)
    away = (y * s - 1).abs() > 2 * h  # at the kink of the hinge there is no derivative
    differences = torch.stack([(loss(s + e, y) - loss(s - e, y)) / (2 * h) for e in steps])
    torch.testing.assert_close(by_hand[away], differences[away], rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("score", [0.0, 1.0, -1.0, 20.0, -20.0, 80.0, 1e3, -1e3])
def test_the_logistic_losss_gradient_is_that_of_the_formula_everywhere(dtype, score):
    """PyTorch's own float32 gradient is 0 at 20; the reference is the formula in float64."""
    for label in (-1.0, 1.0):
        s = torch.tensor([label * score, 1.0], dtype=dtype, requires_grad=True)
        y = torch.tensor([label, 1.0], dtype=dtype)
        (g,) = torch.autograd.grad(nb.logistic_loss(s, y), s)
        right = -label * torch.sigmoid(torch.tensor(-score, dtype=torch.float64)).item() / 2
        assert g[0].item() == pytest.approx(right, rel=1e-5 if dtype == torch.float32 else 1e-12)
        assert nb.logistic_gradient(s.detach(), y)[0].item() == pytest.approx(right, rel=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("loss", LOSSES)
def test_a_start_at_zero_and_the_kinks_have_the_gradient_of_the_formula(loss, dtype):
    s = torch.tensor([0.0, -0.0, 1.0, -1.0, 1.0, -1.0, 1e3, -1e3], dtype=dtype)
    y = torch.tensor([1.0, -1.0, 1.0, -1.0, -1.0, 1.0, 1.0, 1.0], dtype=dtype)
    leaf = s.clone().requires_grad_()
    (automatic,) = torch.autograd.grad(loss(leaf, y), leaf)
    torch.testing.assert_close(GRADIENTS[loss](s, y), automatic, rtol=1e-6, atol=0)
    at_zero = {nb.logistic_loss: 1 / 2, nb.hinge_loss: 1, nb.squared_hinge_loss: 2}[loss] / len(s)
    assert automatic[:2].tolist() == pytest.approx([-at_zero, at_zero])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("score", [1e3, -1e3, 1e30, -1e30])
def test_losses_are_exact_at_huge_scores(score, dtype):
    s, y = torch.tensor([score], dtype=dtype), torch.ones(1, dtype=dtype)
    assert nb.logistic_loss(s, y).item() == pytest.approx(max(0.0, -score))
    assert nb.hinge_loss(s, y).item() == pytest.approx(max(0.0, 1 - score))
    if abs(score) < 1e18 or dtype == torch.float64:
        assert nb.squared_hinge_loss(s, y).item() == pytest.approx(max(0.0, 1 - score) ** 2)
    assert torch.isfinite(nb.logistic_gradient(s, y)).all()


@pytest.mark.parametrize("loss", LOSSES)
@given(n=st.integers(2, 30), seed=st.integers(0, 10_000))
def test_losses_do_not_depend_on_order_or_on_which_class_is_positive(loss, n, seed):
    s, y = examples(n, seed)
    order = torch.randperm(n, generator=generator(seed))
    assert loss(s[order], y[order]).item() == pytest.approx(loss(s, y).item(), rel=1e-13)
    assert loss(-s, -y).item() == loss(s, y).item()
    assert loss(s.repeat(3), y.repeat(3)).item() == pytest.approx(loss(s, y).item(), rel=1e-13)


@given(n=st.integers(1, 30), seed=st.integers(0, 10_000))
def test_the_hinge_bounds_the_share_of_errors_and_so_does_the_logistic_over_log_2(n, seed):
    s, y = examples(n, seed)
    errors = (y * s <= 0).double().mean()
    assert nb.hinge_loss(s, y) >= errors
    assert nb.squared_hinge_loss(s, y) >= errors
    assert nb.logistic_loss(s, y) >= errors * math.log(2) - 1e-15


@pytest.mark.parametrize("function", [*LOSSES, *GRADIENTS.values()])
@pytest.mark.parametrize(
    ("s", "y", "name"),
    [
        (torch.zeros(0), torch.zeros(0), "s:"),
        (torch.zeros(2, 1), torch.ones(2, 1), "s:"),
        (torch.zeros(3), torch.ones(2), "y:"),
        (torch.zeros(3), torch.ones(3, 1), "y:"),
        (torch.zeros(2), torch.tensor([0.0, 1.0]), "y:"),
        (torch.zeros(2), torch.tensor([1.0, math.nan]), "y:"),
    ],
)
def test_bad_scores_and_labels_are_named(function, s, y, name):
    with pytest.raises(ValueError, match=name):
        function(s, y)


# Models and steps ------------------------------------------------------------------------------


@pytest.mark.parametrize("build", [nb.linear, nb.feed_forward, nb.cnn])
def test_every_model_gives_one_score_an_image(build):
    model = nb.initialise(build(), generator())
    for n in (1, 5):
        assert model(torch.rand(n, 1, 28, 28, generator=generator())).shape == (n,)


def test_parameters_are_counted():
    assert nb.parameters(nb.linear()) == 784 + 1
    assert nb.parameters(nb.feed_forward(10)) == 784 * 10 + 10 + 10 + 1


def test_first_weights_depend_on_the_generator_alone():
    torch.manual_seed(1)
    a = nb.initialise(nb.cnn(), generator(4))
    torch.manual_seed(2)
    b = nb.initialise(nb.cnn(), generator(4))
    c = nb.initialise(nb.cnn(), generator(5))
    pairs = list(zip(a.parameters(), b.parameters(), c.parameters(), strict=True))
    assert all(torch.equal(p, q) for p, q, _ in pairs)
    assert any(not torch.equal(p, r) for p, _, r in pairs)


def test_first_weights_have_he_variance():
    model = nb.initialise(nb.feed_forward(400), generator())
    assert model[1].weight.std().item() == pytest.approx(math.sqrt(2 / 784), rel=0.02)
    assert not model[1].bias.any()


@pytest.mark.parametrize("build", [nb.linear, nb.feed_forward, nb.cnn])
def test_multiply_adds_are_those_that_torch_counts(build):
    with FlopCounterMode(display=False) as counter:
        build()(torch.zeros(1, 1, 28, 28))
    assert 2 * nb.multiply_adds(build()) == counter.get_total_flops()


@pytest.mark.parametrize("sizes", [[784, 1], [784, 5, 1], [784, 7, 6, 1], [784, 4, 3, 5, 1]])
@pytest.mark.parametrize("seed", range(3))
def test_back_propagation_equals_autograd(sizes, seed):
    """For any number of layers, from a random start, biases included."""
    g = generator(seed)
    params = []
    for a, b in itertools.pairwise(sizes):
        params += [torch.randn(b, a, generator=g).double() / math.sqrt(a)]
        params += [torch.randn(b, generator=g).double()]
    X, (_, y) = torch.rand(9, 1, 28, 28, generator=g).double(), examples(9, seed)
    s, h = nb.forward(params, X)
    by_hand = nb.backward(params, h, nb.logistic_gradient(s, y))
    leaves = [p.clone().requires_grad_() for p in params]
    automatic = torch.autograd.grad(nb.logistic_loss(nb.forward(leaves, X)[0], y), leaves)
    for a, b in zip(by_hand, automatic, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-14)


def test_the_forward_pass_by_hand_is_the_models():
    model = nb.initialise(nb.feed_forward(9), generator()).double()
    X = torch.rand(4, 1, 28, 28, generator=generator(1)).double()
    s, h = nb.forward(list(model.parameters()), X)
    torch.testing.assert_close(s, model(X), rtol=1e-13, atol=1e-13)
    assert [tuple(part.shape) for part in h] == [(4, 784), (4, 9)]


@pytest.mark.parametrize("ours", [nb.convolve_loop, nb.convolve])
@given(
    n=st.integers(1, 3),
    channels=st.integers(1, 3),
    filters=st.integers(1, 3),
    kernel=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    extra=st.tuples(st.integers(0, 5), st.integers(0, 5)),
    stride=st.integers(1, 3),
    padding=st.integers(0, 3),
)
def test_convolutions_equal_torchs(ours, n, channels, filters, kernel, extra, stride, padding):
    g = generator(n + 10 * channels)
    side = [k + e for k, e in zip(kernel, extra, strict=True)]
    X = torch.randn(n, channels, *side, generator=g).double()
    W = torch.randn(filters, channels, *kernel, generator=g).double()
    b = torch.randn(filters, generator=g).double()
    expected = F.conv2d(X, W, b, stride=stride, padding=padding)
    torch.testing.assert_close(ours(X, W, b, stride, padding), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("ours", [nb.convolve_loop, nb.convolve])
@pytest.mark.parametrize("whole", ["X", "W", "b", "XWb"])
def test_convolutions_of_whole_numbers_are_not_cut_off(ours, whole):
    g = generator(1)
    parts = {"X": torch.rand(2, 2, 5, 5, generator=g), "W": torch.rand(3, 2, 2, 2, generator=g)}
    parts["b"] = torch.rand(3, generator=g)
    parts = {k: (9 * v).round().to(torch.int64) if k in whole else v for k, v in parts.items()}
    expected = F.conv2d(*(v.double() for v in parts.values()))
    torch.testing.assert_close(ours(**parts).double(), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("ours", [nb.convolve_loop, nb.convolve])
@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"X": torch.zeros(2, 5, 5)}, "X:"),
        ({"X": torch.zeros(0, 1, 5, 5)}, "X:"),
        ({"W": torch.zeros(2, 2, 3, 3)}, "W:"),
        ({"W": torch.zeros(2, 1, 8, 3)}, "W:"),
        ({"W": torch.zeros(2, 1, 3, 8)}, "W:"),
        ({"b": torch.zeros(3)}, "b:"),
        ({"stride": 0}, "stride:"),
        ({"stride": True}, "stride:"),
        ({"padding": -1}, "padding:"),
        ({"padding": 0.5}, "padding:"),
    ],
)
def test_convolutions_name_the_bad_argument(ours, changes, name):
    good = {"X": torch.zeros(2, 1, 5, 5), "W": torch.zeros(2, 1, 3, 3), "b": torch.zeros(2)}
    with pytest.raises(ValueError, match=name):
        ours(**good | changes)


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.9])
def test_a_hundred_steps_equal_torchs(momentum):
    g = generator(3)
    ours = [torch.randn(4, 3, generator=g), torch.randn(4, generator=g)]
    theirs = [p.clone().requires_grad_() for p in ours]
    velocity = [torch.zeros_like(p) for p in ours]
    optimiser = torch.optim.SGD(theirs, lr=0.03, momentum=momentum)
    for _ in range(100):
        gradients = [torch.randn(p.shape, generator=g) for p in ours]
        nb.sgd_step(ours, gradients, velocity, 0.03, momentum)
        for p, gradient in zip(theirs, gradients, strict=True):
            p.grad = gradient.clone()
        optimiser.step()
    for p, q in zip(ours, theirs, strict=True):
        torch.testing.assert_close(p, q.detach(), rtol=0, atol=1e-6)


def test_the_penalty_is_on_the_weights_and_not_on_the_biases(strokes):
    X, y = strokes[0][:8], strokes[1][:8]
    model = nb.initialise(nb.linear(), generator())
    bare = nb.objective(model, nb.logistic_loss, X, y, 0.0)
    assert bare.item() == pytest.approx(nb.logistic_loss(model(X), y).item())
    with torch.no_grad():
        model[1].bias += 5
    moved = nb.objective(model, nb.logistic_loss, X, y, 0.0)
    with_penalty = nb.objective(model, nb.logistic_loss, X, y, 0.1)
    expected = 0.05 * (model[1].weight ** 2).sum().item()
    assert (with_penalty - moved).item() == pytest.approx(expected, rel=1e-4)


def test_a_score_of_zero_or_of_none_is_an_error():
    y = torch.tensor([1.0, -1.0, 1.0])
    for s in (torch.zeros(3), torch.full((3,), math.nan), -y, np.array([np.nan, 0, -1])):
        assert nb.wrong(s, y if torch.is_tensor(s) else y.numpy()).all()
    assert not nb.wrong(y / 9, y).any()
    many = torch.stack([y, -y, math.nan * y])
    assert nb.wrong(many, y).sum(1).tolist() == [0, 3, 3]


@pytest.mark.parametrize("convert", [torch.tensor, np.array])
@pytest.mark.parametrize(
    "y", [[0, 1, 1], [1, 7, 7], [True, False, True], [[1], [-1], [1]], [1, -1], [1, -1, math.nan]]
)
def test_errors_are_counted_by_labels_of_plus_and_minus_1_alone(convert, y):
    with pytest.raises(ValueError, match=r"^y: expected .*, got "):
        nb.wrong(convert([0.5, -2.0, 1.0]), convert(y))


def test_scores_come_in_pieces_and_average_over_shifts():
    model = nb.initialise(nb.linear(), generator())
    X = torch.zeros(1203, 1, 28, 28)
    X[:, 0, 8:20, 8:20] = torch.rand(1203, 12, 12, generator=generator(1))
    torch.testing.assert_close(nb.scores(model, X), model(X).detach(), rtol=1e-5, atol=1e-5)
    lower = torch.zeros_like(X)
    lower[:, :, 1:] = X[:, :, :-1]
    both = (model(X) + model(lower)).detach() / 2
    ours = nb.scores(model, X, ((0, 0), (1, 0)))
    torch.testing.assert_close(ours, both, rtol=1e-5, atol=1e-5)
