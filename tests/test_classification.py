"""The classifiers' losses, steps and training loop, against torch, calculus and bad input."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from notebooks import algorithms
from torch import nn

from common.data import stroke_digits

nb = algorithms("classification")
LOSSES = [nb.logistic_loss, nb.hinge_loss]
GRADIENTS = {nb.logistic_loss: nb.logistic_gradient, nb.hinge_loss: nb.hinge_gradient}


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def examples(n, seed=0, dtype=torch.float64):
    g = generator(seed)
    s = 3 * torch.randn(n, generator=g, dtype=dtype)
    return s, torch.where(torch.rand(n, generator=g) < 0.5, 1.0, -1.0).to(dtype)


@pytest.fixture(scope="module")
def strokes():
    return nb.to_tensors(*stroke_digits(600, np.random.default_rng(0)))


# Losses ----------------------------------------------------------------------------------------


@given(n=st.integers(1, 40), seed=st.integers(0, 10_000))
def test_losses_equal_torchs(n, seed):
    s, y = examples(n, seed)
    logistic = F.binary_cross_entropy_with_logits(s, (y + 1) / 2)
    hinge = F.hinge_embedding_loss(y * s, -torch.ones_like(s))
    assert nb.logistic_loss(s, y).item() == pytest.approx(logistic.item(), rel=1e-13)
    assert nb.hinge_loss(s, y).item() == pytest.approx(hinge.item(), rel=1e-13)


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
    torch.testing.assert_close(by_hand[away], differences[away], rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("score", [1e3, -1e3, 1e30, -1e30])
def test_losses_are_exact_at_huge_scores(score, dtype):
    s, y = torch.tensor([score], dtype=dtype), torch.ones(1, dtype=dtype)
    assert nb.logistic_loss(s, y).item() == pytest.approx(max(0.0, -score))
    assert nb.hinge_loss(s, y).item() == pytest.approx(max(0.0, 1 - score))
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
    assert nb.logistic_loss(s, y) >= errors * math.log(2) - 1e-15


@pytest.mark.parametrize("function", [*LOSSES, nb.logistic_gradient, nb.hinge_gradient])
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


def test_a_score_of_zero_is_an_error():
    class Zero(nn.Module):
        def forward(self, X):
            return torch.zeros(len(X))

    assert nb.wrong(Zero(), torch.zeros(3, 1, 28, 28), torch.tensor([1.0, -1.0, 1.0])).all()


# Images ----------------------------------------------------------------------------------------


def test_images_become_tensors_in_the_unit_interval():
    images = np.zeros((2, 28, 28), np.uint8)
    images[1] = 255
    X, y = nb.to_tensors(images, np.array([1, 7]))
    assert X.shape == (2, 1, 28, 28)
    assert X.dtype == torch.float32
    assert (X.min(), X.max()) == (0, 1)
    assert y.tolist() == [-1, 1]


def test_augmentation_moves_every_image_by_itself(strokes):
    same = strokes[0][:1].expand(20, 1, 28, 28)
    moved = nb.augment(same, generator())
    assert moved.shape == same.shape
    assert len({tuple(image.flatten().tolist()) for image in moved}) == 20
    assert moved.min() >= 0
    assert moved.max() <= 1 + 1e-6


def test_augmentation_shifts_by_what_it_says():
    X = torch.zeros(200, 1, 28, 28)
    X[:, 0, 13:15, 13:15] = 1
    moved = nb.augment(X, generator(), turn=0, stretch=0, shear=0, shift=0.5)
    mass = moved.sum(dim=(1, 2, 3))
    for axis in (2, 3):
        profile = moved.sum(dim=(1, 5 - axis))
        centre = (profile * torch.arange(28)).sum(1) / mass
        assert (centre - 13.5).abs().max() <= 7.01  # half of half the image's side
        assert (centre - 13.5).abs().max() > 6.5


def test_augmentation_depends_on_the_generator_alone(strokes):
    X = strokes[0][:5]
    assert torch.equal(nb.augment(X, generator(1)), nb.augment(X, generator(1)))
    assert not torch.equal(nb.augment(X, generator(1)), nb.augment(X, generator(2)))


# Training --------------------------------------------------------------------------------------


def parts(strokes):
    X, y = strokes
    return (X[:400], y[:400]), (X[400:], y[400:])


@pytest.mark.parametrize("loss", LOSSES)
def test_training_learns_and_reports_every_epoch(strokes, loss):
    train, validation = parts(strokes)
    model = nb.initialise(nb.linear(), generator())
    history = nb.fit(model, loss, train, validation, generator(1), epochs=6, lr=0.05)
    assert len(history) == 6
    assert history[-1][0] < history[0][0] / 2
    assert history[-1][1] == nb.wrong(model, *validation).sum().item() < 15


def test_the_same_generator_gives_the_same_model_whatever_the_global_seed(strokes):
    train, validation = parts(strokes)
    models = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        g = generator(7)
        model = nb.initialise(nb.feed_forward(8), g)
        nb.fit(
            model, nb.logistic_loss, train, validation, g, epochs=2, lr=0.1, augmentation=nb.augment
        )
        models.append(model)
    for p, q in zip(*(m.parameters() for m in models), strict=True):
        assert torch.equal(p, q)


def test_long_training_approaches_the_minimum_of_the_objective():
    """On few examples: the optimum found by torch's LBFGS, to four digits."""
    g = generator(5)
    X = torch.rand(64, 1, 28, 28, generator=g) - 0.5
    y = torch.where(torch.rand(64, generator=g) < 0.5, 1.0, -1.0)
    best = nb.initialise(nb.linear(), g)
    optimiser = torch.optim.LBFGS(best.parameters(), max_iter=500, line_search_fn="strong_wolfe")

    def closure():
        optimiser.zero_grad()
        J = nb.objective(best, nb.logistic_loss, X, y, 0.1)
        J.backward()
        return J

    optimiser.step(closure)
    ours = nb.initialise(nb.linear(), g)
    nb.fit(ours, nb.logistic_loss, (X, y), (X, y), g, epochs=800, lr=0.02, lam=0.1)
    values = [nb.objective(m, nb.logistic_loss, X, y, 0.1).item() for m in (ours, best)]
    assert values[0] == pytest.approx(values[1], rel=1e-4)


def test_a_loss_that_is_not_finite_stops_training_and_says_where(strokes):
    train, validation = parts(strokes)
    model = nb.initialise(nb.linear(), generator())
    with pytest.raises(FloatingPointError, match=r"step \d+: try lr < 1000"):
        nb.fit(model, nb.logistic_loss, train, validation, generator(), epochs=9, lr=1e3, lam=0.1)


def test_one_example_can_be_fitted(strokes):
    one = strokes[0][:1], strokes[1][:1]
    model = nb.initialise(nb.linear(), generator())
    assert nb.fit(model, nb.logistic_loss, one, one, generator(), epochs=20, lr=0.1)[-1][1] == 0


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("epochs", 0),
        ("epochs", 1.5),
        ("lr", 0.0),
        ("lr", -1.0),
        ("lr", math.nan),
        ("lr", math.inf),
        ("lam", -0.1),
        ("lam", math.nan),
    ],
)
def test_fit_names_the_bad_argument_and_leaves_the_model(strokes, name, value):
    train, validation = parts(strokes)
    model = nb.initialise(nb.linear(), generator())
    before = model[1].weight.clone()
    with pytest.raises(ValueError, match=f"{name}:"):
        nb.fit(
            model,
            nb.logistic_loss,
            train,
            validation,
            generator(),
            **{"epochs": 1, "lr": 0.1, name: value},
        )
    assert torch.equal(model[1].weight, before)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_fit_refuses_images_that_are_not_finite(strokes, value):
    X, y = strokes[0][:4].clone(), strokes[1][:4]
    X[2, 0, 3, 3] = value
    with pytest.raises(ValueError, match="X:"):
        nb.fit(nb.linear(), nb.logistic_loss, (X, y), (X, y), generator(), epochs=1, lr=0.1)


@pytest.mark.parametrize(
    ("X", "y", "name"),
    [
        (torch.zeros(0, 1, 28, 28), torch.zeros(0), "X:"),
        (torch.zeros(4, 784), torch.ones(4), "X:"),
        (torch.zeros(4, 1, 28, 28), torch.ones(3), "y:"),
        (torch.zeros(4, 1, 28, 28), torch.tensor([1.0, 7.0, 1.0, 7.0]), "y:"),
    ],
)
def test_fit_names_examples_that_do_not_fit(X, y, name):
    with pytest.raises(ValueError, match=name):
        nb.fit(nb.linear(), nb.logistic_loss, (X, y), (X, y), generator(), epochs=1, lr=0.1)


@pytest.mark.parametrize("size", [0.1, 0.4])
def test_a_turn_keeps_distances_and_is_undone_by_the_opposite_turn(strokes, size):
    X = strokes[0][:20]
    c, s = math.cos(size), math.sin(size)
    there = torch.tensor([[c, -s, 0.0], [s, c, 0.0]]).expand(20, 2, 3)
    back = torch.tensor([[c, s, 0.0], [-s, c, 0.0]]).expand(20, 2, 3)
    again = nb.warp(nb.warp(X, there), back)
    assert (again - X).abs().mean() < 0.03  # two interpolations blur a little
    assert (nb.warp(X, there) - X).abs().mean() > (again - X).abs().mean()
    ratio = nb.warp(X, there).sum(dim=(1, 2, 3)) / X.sum(dim=(1, 2, 3))
    torch.testing.assert_close(ratio, torch.ones(20), rtol=0.03, atol=0)  # the area stays
