"""Images and the training loop: augmentation, devices, progress and repeatability."""

import math
from functools import partial

import numpy as np
import pytest
import torch
from classification_cases import LOSSES, generator, nb
from tqdm import tqdm

from common.digits import mnist_pair
from tools.notebooks import code_cells, load, source
from tools.project import NOTEBOOKS

(NOTEBOOK,) = (path for path in NOTEBOOKS if path.parent.name == "classification")
CELLS, AUGMENT = code_cells(load(NOTEBOOK)), "def augment("


@pytest.fixture(scope="module")
def strokes():
    return nb.to_tensors(*(part[:600] for part in mnist_pair(source="strokes")[:2]))


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


def landing(place, transform):
    """Where a dot at (x, y), in half widths from the middle, is in each image after transform."""
    at = (torch.arange(28) - 13.5) / 14
    x, y = place
    dot = torch.exp(-((at - x) ** 2 + (at[:, None] - y) ** 2) / (2 * 0.1**2))
    moved = transform(dot.expand(300, 1, 28, 28).contiguous())[:, 0]
    mass = moved.sum((1, 2))
    return torch.stack([(moved.sum(1) @ at) / mass, (moved.sum(2) @ at) / mass], 1)


def maps_of(transform):
    """Each image's map A (2, 3), with A (x, y, 1) the place from which (x, y) was taken."""
    places = torch.tensor([[0.4, 0.0], [0.0, 0.4], [-0.3, -0.3]])
    landed = torch.stack([landing(p, transform) for p in places.tolist()], 1)
    landed = torch.cat([landed, torch.ones(300, 3, 1)], 2)
    return torch.linalg.solve(landed, places.expand(300, 3, 2)).mT


def parts_of(A):
    """Turn, two stretches, shear and two shifts of maps A (n, 2, 3): a turn times a triangle."""
    turn = torch.atan2(A[:, 1, 0], A[:, 0, 0])
    c, s = turn.cos(), turn.sin()
    stretch_x = A[:, 0, 0] * c + A[:, 1, 0] * s - 1
    shear = A[:, 0, 1] * c + A[:, 1, 1] * s
    stretch_y = A[:, 1, 1] * c - A[:, 0, 1] * s - 1
    return torch.stack([turn, stretch_x, stretch_y, shear, A[:, 0, 2], A[:, 1, 2]])


KNOWN = [0.3, 0.2, -0.15, 0.25, 0.1, -0.2]  # turn, stretches, shear, shifts: none of them alike


def as_the_sizes_say(affine, augment):
    """Whether known maps move dots as they should, and drawn maps are many and fill their range."""
    A = affine(*(torch.full((300,), v) for v in KNOWN))
    known = parts_of(maps_of(lambda X: nb.warp(X, A)))
    drawn = parts_of(maps_of(lambda X: augment(X, generator(5))))
    reach = drawn.abs().amax(1) / torch.tensor([0.2, 0.15, 0.15, 0.25, 0.1, 0.1])
    return (
        (known - torch.tensor(KNOWN)[:, None]).abs().max() < 0.01
        and ((0.9 < reach) & (reach < 1.1)).all()
        and drawn.std(1).min() > 0.03
    )


def test_maps_are_what_their_turns_stretches_shears_and_shifts_say():
    assert as_the_sizes_say(nb.affine, nb.augment)


def mutant(old, new):
    """The functions of the cells with `affine` and `augment`, one of them changed."""
    names = dict(vars(nb))
    code = "".join(
        source(c) + "\n" for c in CELLS if AUGMENT in source(c) or "def affine(" in source(c)
    )
    assert code.count(old) == 1
    exec(code.replace(old, new), names)
    return names["affine"], names["augment"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("c * shear - s * y, shift_x", "-c * shear + s * y, shift_x"),  # mirrored
        ("s * y, shift_x]", "s * y, shift_y]"),  # shifts swapped, in part
        ("shear + c * y, shift_y", "shear + c * y, shift_x"),
        (
            "torch.rand(6, len(X), generator=generator)",
            "torch.rand(6, 1, generator=generator).expand(6, len(X))",
        ),
        ("stretch, shear, shift, shift]", "stretch, 10 * shear, shift, shift]"),
        ("turn.sin()", "-turn.sin()"),
        (", 1 + stretch_x, 1", ", 1 - stretch_x, 1"),
    ],
)
def test_a_wrong_map_is_noticed(old, new):
    affine, augment = mutant(old, new)
    assert not as_the_sizes_say(affine, augment)


# Training --------------------------------------------------------------------------------------


def parts(strokes):
    X, y = strokes
    return (X[:400], y[:400]), (X[400:], y[400:])


@pytest.mark.parametrize("loss", LOSSES)
def test_training_learns_and_reports_every_epoch(strokes, loss):
    train, validation = parts(strokes)
    model = nb.initialise(nb.linear(), generator())
    seen = []

    def watch(model):
        seen.append(nb.wrong(nb.scores(model, validation[0]), validation[1]).sum().item())
        return seen[-1]

    history = nb.fit(model, loss, train, generator(1), epochs=8, lr=0.05, watch=watch)
    assert [value for _, value in history] == seen
    assert len(history) == 8
    assert history[-1][0] < history[0][0] / 2
    assert seen[-1] == nb.wrong(nb.scores(model, validation[0]), validation[1]).sum() < 15


def test_the_same_generator_gives_the_same_model_whatever_the_global_seed(strokes):
    train, _ = parts(strokes)
    models = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        g = generator(7)
        model = nb.initialise(nb.feed_forward(8), g)
        nb.fit(model, nb.logistic_loss, train, g, epochs=2, lr=0.1, augmentation=nb.augment)
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
    nb.fit(ours, nb.logistic_loss, (X, y), g, epochs=800, lr=0.02, lam=0.1)
    values = [nb.objective(m, nb.logistic_loss, X, y, 0.1).item() for m in (ours, best)]
    assert values[0] == pytest.approx(values[1], rel=1e-4)


def test_a_loss_that_is_not_finite_stops_training_and_says_where(strokes):
    train, _ = parts(strokes)
    model = nb.initialise(nb.linear(), generator())
    with pytest.raises(FloatingPointError, match=r"step \d+: try lr < 10000"):
        nb.fit(model, nb.logistic_loss, train, generator(), epochs=9, lr=1e4, lam=0.1)


def test_the_learning_rate_warms_up_and_ends_at_zero():
    t = np.linspace(0, 1, 1001)
    values = [nb.rate(0.3, x) for x in t]
    assert values[0] == 0
    assert max(values) == pytest.approx(0.3, rel=1e-3)
    assert t[np.argmax(values)] == pytest.approx(nb.WARM, abs=2e-3)
    assert values[-1] == pytest.approx(0, abs=1e-12)
    assert np.abs(np.diff(values)).max() < 0.3 * 1.1e-3 / nb.WARM


@pytest.mark.parametrize(
    ("cuda", "mps", "expected"),
    [(True, False, "cuda"), (True, True, "cuda"), (False, True, "mps"), (False, False, "cpu")],
)
def test_the_device_chooses_itself(monkeypatch, cuda, mps, expected):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert nb.choose_device() == expected
    assert nb.choose_device(torch.float64) == ("cuda" if cuda else "cpu")  # mps has none


def test_training_happens_on_the_device(monkeypatch, strokes):
    """The device "meta" holds shapes without numbers, and mixes with no other device."""
    train, _ = parts(strokes)
    monkeypatch.setitem(vars(nb), "choose_device", lambda kind: "meta")
    places = []

    def augmentation(X, generator):
        places.append(X.device.type)
        moved = nb.augment(X, generator)
        assert moved.device.type == "meta"
        raise InterruptedError  # a loss without a number could not be looked at

    model = nb.initialise(nb.cnn(), generator())
    options = {"epochs": 1, "lr": 0.1, "augmentation": augmentation}
    with pytest.raises(InterruptedError):
        nb.fit(model, nb.logistic_loss, train, generator(), **options)
    assert places == ["meta"]


def test_a_trained_model_comes_home(monkeypatch, strokes):
    places = []
    model = nb.linear()
    to = model.to
    monkeypatch.setattr(model, "to", lambda device: places.append(device) or to(device))
    monkeypatch.setattr(model, "cpu", lambda: places.append("home"))
    monkeypatch.setitem(vars(nb), "choose_device", lambda kind: "cpu")
    nb.fit(model, nb.logistic_loss, parts(strokes)[0], generator(), epochs=1, lr=0.1)
    assert places == ["cpu", "home"]


def test_a_progress_bar_stands_around_the_epochs_if_it_is_asked_for(capsys, strokes):
    train, _ = parts(strokes)
    options = {"epochs": 2, "lr": 0.1}
    nb.fit(nb.linear(), nb.logistic_loss, train, generator(), **options)
    assert capsys.readouterr().err == ""
    bar = partial(tqdm, desc="epochs", disable=False)
    history = nb.fit(nb.linear(), nb.logistic_loss, train, generator(), bar=bar, **options)
    assert len(history) == 2
    assert "2/2" in capsys.readouterr().err


def test_two_examples_can_be_fitted_in_one_step_and_in_many(strokes):
    two = torch.stack([torch.where(strokes[1] == label)[0][0] for label in (-1, 1)])
    few = strokes[0][two], strokes[1][two]
    model = nb.initialise(nb.linear(), generator())
    before = model[1].weight.clone()
    history = nb.fit(model, nb.logistic_loss, few, generator(), epochs=1, lr=0.1)
    assert not torch.equal(model[1].weight, before)  # the first step has a rate
    assert history == [(history[0][0], None)]
    nb.fit(model, nb.logistic_loss, few, generator(), epochs=40, lr=0.1)
    assert not nb.wrong(nb.scores(model, few[0]), few[1]).any()


def test_a_start_at_zero_takes_the_step_of_the_formula(strokes):
    """One batch, one step: from zero, the weights move against the gradient by half the rate."""
    few = strokes[0][:50], strokes[1][:50]
    model = nb.linear()
    torch.nn.init.zeros_(model[1].weight), torch.nn.init.zeros_(model[1].bias)
    nb.fit(model, nb.logistic_loss, few, generator(), epochs=1, lr=0.1)
    step = nb.rate(0.1, 0.5) * (few[1] / 2) @ few[0].flatten(1) / 50
    torch.testing.assert_close(model[1].weight[0].detach(), step, rtol=1e-4, atol=1e-8)


@pytest.mark.parametrize("lr", [1e3, 1e6])
def test_a_training_that_ends_far_above_its_start_says_so(strokes, lr):
    train, _ = parts(strokes)
    model = nb.initialise(nb.linear(), generator())
    with pytest.raises(FloatingPointError, match=r"objective .* at step \d+: try lr < "):
        nb.fit(model, nb.logistic_loss, train, generator(), epochs=2, lr=lr)
    assert next(model.parameters()).device.type == "cpu"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("epochs", 0),
        ("epochs", 1.5),
        ("epochs", True),
        ("lr", 0.0),
        ("lr", -1.0),
        ("lr", math.nan),
        ("lr", math.inf),
        ("lam", -0.1),
        ("lam", math.nan),
    ],
)
def test_fit_names_the_bad_argument_and_leaves_the_model(strokes, name, value):
    train, _ = parts(strokes)
    model = nb.initialise(nb.linear(), generator())
    before = model[1].weight.clone()
    options = {"epochs": 1, "lr": 0.1, name: value}
    with pytest.raises(ValueError, match=f"{name}:"):
        nb.fit(model, nb.logistic_loss, train, generator(), **options)
    assert torch.equal(model[1].weight, before)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_fit_refuses_images_that_are_not_finite(strokes, value):
    X, y = strokes[0][:4].clone(), strokes[1][:4]
    X[2, 0, 3, 3] = value
    with pytest.raises(ValueError, match="X:"):
        nb.fit(nb.linear(), nb.logistic_loss, (X, y), generator(), epochs=1, lr=0.1)


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
        nb.fit(nb.linear(), nb.logistic_loss, (X, y), generator(), epochs=1, lr=0.1)


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
