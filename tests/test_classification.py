"""The classifiers' losses, steps and training loop, against torch, calculus and bad input."""

import builtins
import itertools
import math
import pickle
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats
from torch.utils.flop_counter import FlopCounterMode

from common.synthetic import stroke_digits
from tools.notebooks import algorithms

nb = algorithms("classification")
GRADIENTS = {
    nb.logistic_loss: nb.logistic_gradient,
    nb.hinge_loss: nb.hinge_gradient,
    nb.squared_hinge_loss: nb.squared_hinge_gradient,
}
LOSSES = list(GRADIENTS)


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


@pytest.mark.parametrize(("beta1", "beta2", "eps"), [(0.9, 0.999, 1e-8), (0.5, 0.9, 1e-3)])
def test_a_hundred_steps_of_adam_equal_torchs(beta1, beta2, eps):
    g = generator(3)
    ours = [torch.randn(4, 3, generator=g), torch.randn(4, generator=g)]
    theirs = [p.clone().requires_grad_() for p in ours]
    means, squares = ([torch.zeros_like(p) for p in ours] for _ in range(2))
    optimiser = torch.optim.Adam(theirs, lr=0.03, betas=(beta1, beta2), eps=eps)
    for t in range(1, 101):
        gradients = [torch.randn(p.shape, generator=g) for p in ours]
        nb.adam_step(ours, gradients, means, squares, t, 0.03, beta1, beta2, eps)
        for p, gradient in zip(theirs, gradients, strict=True):
            p.grad = gradient.clone()
        optimiser.step()
    for p, q in zip(ours, theirs, strict=True):
        torch.testing.assert_close(p, q.detach(), rtol=0, atol=1e-6)


def test_adams_first_step_has_the_size_of_the_learning_rate():
    theta = [torch.zeros(3)]
    zeros = [[torch.zeros(3)], [torch.zeros(3)]]
    nb.adam_step(theta, [torch.tensor([1e-3, -5.0, 1e6])], *zeros, 1, 0.01)
    torch.testing.assert_close(theta[0], torch.tensor([-0.01, 0.01, -0.01]), rtol=1e-3, atol=0)


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
    assert nb.wrong(torch.zeros(3), torch.tensor([1.0, -1.0, 1.0])).all()


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


def test_what_was_saved_is_loaded_and_code_is_not(tmp_path):
    a, b = (nb.initialise(nb.cnn(), generator(seed)) for seed in (0, 1))
    X = torch.rand(3, 1, 28, 28, generator=generator(2))
    nb.save(a, tmp_path / "a.pt")
    assert nb.load(b, tmp_path / "a.pt") is b
    assert torch.equal(a(X), b(X))

    torch.save({"bad": SimpleNamespace(a=1)}, tmp_path / "code.pt")
    with pytest.raises(pickle.UnpicklingError):
        nb.load(b, tmp_path / "code.pt")


# The optimum of the linear models --------------------------------------------------------------

OF_MARGIN = ["logistic", "squared hinge"]


def linear_problem(n=150, d=12, seed=0, noise=1.0):
    """Two classes that overlap, so that the optimum exists whatever the penalty."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d))
    y = np.where(X @ rng.standard_normal(d) + 0.5 + noise * rng.standard_normal(n) > 0, 1.0, -1.0)
    y[:2] = -1, 1
    return X, y


def J(theta, X, y, loss, lam):
    value, *_ = nb.of_margin(loss, y * nb.linear_scores(theta, X))
    return value.mean() + lam / 2 * np.sum(theta[:-1] ** 2)


@pytest.mark.parametrize("loss", OF_MARGIN)
def test_slope_and_curvature_are_the_derivatives(loss):
    m = np.random.default_rng(0).uniform(-4, 4, 200)
    h = 1e-5
    low, middle, high = (nb.of_margin(loss, m + step) for step in (-h, 0, h))
    np.testing.assert_allclose(middle[1], (high[0] - low[0]) / (2 * h), atol=1e-8)
    away = np.abs(m - 1) > 2 * h
    np.testing.assert_allclose(middle[2][away], ((high[1] - low[1]) / (2 * h))[away], atol=1e-8)
    twin = nb.logistic_loss if loss == "logistic" else nb.squared_hinge_loss
    ours = twin(torch.from_numpy(m), torch.ones(200, dtype=torch.float64))
    assert middle[0].mean() == pytest.approx(ours.item(), rel=1e-13)


@pytest.mark.parametrize("loss", OF_MARGIN)
def test_losses_of_the_margin_are_finite_far_out(loss):
    assert np.isfinite(nb.of_margin(loss, np.array([-1e3, 1e3, -1e100, 1e100]))).all()


def test_gather_is_the_transpose_of_the_scores():
    rng = np.random.default_rng(0)
    X, theta, r = rng.standard_normal((7, 4)), rng.standard_normal(5), rng.standard_normal(7)
    assert r @ nb.linear_scores(theta, X) == pytest.approx(nb.gather(r, X) @ theta)


def test_conjugate_gradients_solve():
    rng = np.random.default_rng(0)
    A = rng.standard_normal((30, 20))
    H, g = A.T @ A + np.eye(20), rng.standard_normal(20)
    p = nb.conjugate_gradients(lambda v: H @ v, g, 1e-12)
    np.testing.assert_allclose(p, np.linalg.solve(H, g), atol=1e-10)


@pytest.mark.parametrize("loss", OF_MARGIN)
@pytest.mark.parametrize("lam", [1e-4, 1e-2, 1.0])
@pytest.mark.parametrize("solve", ["newton", "optimum"])
def test_the_optimum_is_scipys(loss, lam, solve):
    X, y = linear_problem()
    if solve == "newton":
        theta = nb.newton(X, y, loss, lam, np.zeros(13))
    else:
        theta = nb.optimum(X, y, loss, lam)
    best = optimize.minimize(
        J, np.zeros(13), (X, y, loss, lam), method="L-BFGS-B", options={"ftol": 1e-15, "gtol": 1e-9}
    )
    assert J(theta, X, y, loss, lam) <= best.fun * (1 + 1e-6)


@pytest.mark.parametrize("loss", OF_MARGIN)
@pytest.mark.parametrize(("n", "lam"), [(3000, 1e-3), (3000, 0.1), (2, 1), (3, 1e-3), (40, 10)])
def test_the_rounds_reach_what_plain_newton_reaches(loss, n, lam):
    X, y = linear_problem(n, 30, seed=n)
    plain = nb.newton(X, y, loss, lam, np.zeros(31), tol=1e-10)
    fast = nb.optimum(X, y, loss, lam)
    assert J(fast, X, y, loss, lam) <= J(plain, X, y, loss, lam) * (1 + 1e-6)


@pytest.mark.parametrize("loss", OF_MARGIN)
def test_the_rounds_leave_most_examples_aside(monkeypatch, loss):
    """Where the classes are far apart, Newton's method never sees more than a third of them."""
    X, y = linear_problem(6000, 10, noise=0.02)
    seen, newton = [], nb.newton
    monkeypatch.setitem(
        vars(nb), "newton", lambda X, *rest, **more: seen.append(len(X)) or newton(X, *rest, **more)
    )
    nb.optimum(X, y, loss, 1e-3)
    assert 2 <= len(seen) <= 20
    assert max(seen) <= 2000


@pytest.mark.parametrize("loss", OF_MARGIN)
@settings(max_examples=8)
@given(seed=st.integers(0, 1000))
def test_the_optimum_does_not_depend_on_order_on_repeats_or_on_which_class_is_positive(loss, seed):
    X, y = linear_problem(30, 4, seed)
    theta = nb.optimum(X, y, loss, 0.1, rel=1e-12)
    order = np.random.default_rng(seed).permutation(30)
    for again in [
        nb.optimum(X[order], y[order], loss, 0.1, rel=1e-12),
        nb.optimum(np.repeat(X, 3, axis=0), np.repeat(y, 3), loss, 0.1, rel=1e-12),
        -nb.optimum(X, -y, loss, 0.1, rel=1e-12),
    ]:
        np.testing.assert_allclose(again, theta, atol=1e-3)


@pytest.mark.parametrize("loss", OF_MARGIN)
def test_the_optimum_beats_scikit_learn_or_ties(loss):
    linear_model = pytest.importorskip("sklearn.linear_model")
    svm = pytest.importorskip("sklearn.svm")
    X, y = linear_problem(800, 20)
    lam = 1e-2
    C = 1 / (len(X) * lam)
    if loss == "logistic":
        fit = linear_model.LogisticRegression(C=C, tol=1e-10, max_iter=10_000).fit(X, y)
    else:  # its bias is penalised, the less the greater the scaling
        fit = svm.LinearSVC(C=C, tol=1e-10, dual=False, intercept_scaling=1e3).fit(X, y)
    theirs = np.append(fit.coef_, fit.intercept_)
    ours = nb.optimum(X, y, loss, lam)
    assert J(ours, X, y, loss, lam) == pytest.approx(J(theirs, X, y, loss, lam), rel=1e-6)


def test_the_bias_is_not_penalised():
    X, y = linear_problem(200, 3)
    theta = nb.optimum(X, y, "logistic", 1e3)
    assert np.abs(theta[:-1]).max() < 1e-2
    rate = (y > 0).mean()
    assert theta[-1] == pytest.approx(math.log(rate / (1 - rate)), abs=0.02)


def test_newton_lowers_the_objective_in_every_step():
    X, y = linear_problem(300, 20, noise=0.1)
    for loss in OF_MARGIN:
        seen = []
        nb.newton(X, y, loss, 1e-5, np.full(21, 5.0), watch=seen.append)
        values = [J(theta, X, y, loss, 1e-5) for theta in seen]
        assert len(values) > 3
        assert all(b <= a + 1e-15 for a, b in itertools.pairwise(values))


def test_only_support_vectors_matter():
    X, y = linear_problem(300, 5, noise=0.3)
    theta = nb.newton(X, y, "squared hinge", 1e-2, np.zeros(6))
    sv = y * nb.linear_scores(theta, X) < 1
    assert 0 < sv.sum() < 300
    again = nb.newton(X[sv], y[sv], "squared hinge", 1e-2, np.zeros(6), c=1 / 300)
    np.testing.assert_allclose(again, theta, atol=1e-6)


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"X": np.zeros((0, 3))}, "X:"),
        ({"X": np.zeros(4)}, "X:"),
        ({"X": [[1.0], [2.0]]}, "y:"),
        ({"X": np.full((4, 2), np.nan)}, "X:"),
        ({"X": np.full((4, 2), np.inf)}, "X:"),
        ({"y": np.ones(3)}, "y:"),
        ({"y": np.ones(4)}, "y:"),
        ({"y": np.array([1, 7, 1, 7])}, "y:"),
        ({"y": np.array([1, -1, np.nan, 1])}, "y:"),
        ({"loss": "hinge"}, "loss:"),
        ({"lam": 0.0}, "lam:"),
        ({"lam": -1.0}, "lam:"),
        ({"lam": math.nan}, "lam:"),
        ({"lam": math.inf}, "lam:"),
        ({"lam": True}, "lam:"),
    ],
)
def test_the_optimum_names_the_bad_argument(changes, name):
    good = {"X": np.ones((4, 2)), "y": np.array([1, -1, 1, -1]), "loss": "logistic", "lam": 0.1}
    with pytest.raises(ValueError, match=name):
        nb.optimum(**good | changes)


# What can honestly be said ---------------------------------------------------------------------


@given(n=st.integers(1, 3000), share=st.floats(0, 1), confidence=st.sampled_from([0.5, 0.95, 0.99]))
def test_wilson_equals_scipys(n, share, confidence):
    k = round(share * n)
    theirs = stats.binomtest(k, n).proportion_ci(confidence, method="wilson")
    assert nb.wilson(k, n, confidence) == pytest.approx(tuple(theirs), abs=1e-12)


def test_wilson_covers_about_as_often_as_it_says():
    """Exactly, by the binomial distribution, on average over rates."""
    n, covered = 50, []
    intervals = [nb.wilson(k, n) for k in range(n + 1)]
    for p in np.linspace(0.01, 0.99, 99):
        chance = stats.binom.pmf(np.arange(n + 1), n, p)
        covered.append(sum(c for c, (a, b) in zip(chance, intervals, strict=True) if a <= p <= b))
    assert np.mean(covered) == pytest.approx(0.95, abs=0.01)


@pytest.mark.parametrize(
    ("k", "n", "name"), [(-1, 5, "k:"), (6, 5, "k:"), (math.nan, 5, "k:"), (0, 0, "n:")]
)
def test_wilson_names_the_bad_count(k, n, name):
    with pytest.raises(ValueError, match=name):
        nb.wilson(k, n)


@given(b=st.integers(0, 60), c=st.integers(0, 60))
def test_mcnemar_equals_the_binomial_test(b, c):
    expected = stats.binomtest(b, b + c).pvalue if b + c else 1.0
    assert nb.mcnemar(b, c) == pytest.approx(expected, rel=1e-9)
    assert nb.mcnemar(b, c) == nb.mcnemar(c, b)


@pytest.mark.parametrize(("b", "c", "name"), [(-1, 2, "b:"), (2, -1, "c:"), (1.5, 2, "b:")])
def test_mcnemar_names_the_bad_count(b, c, name):
    with pytest.raises(ValueError, match=name):
        nb.mcnemar(b, c)


@given(p=st.lists(st.floats(0, 1), max_size=6))
def test_holm_is_the_closed_test_by_bonferroni(p):
    """A hypothesis falls if every set of hypotheses that holds it falls by Bonferroni's bound."""
    closed = []
    for i in range(len(p)):
        subsets = (itertools.combinations(range(len(p)), k) for k in range(1, len(p) + 1))
        sets = [s for s in itertools.chain.from_iterable(subsets) if i in s]
        closed.append(min(1.0, max(len(s) * min(p[j] for j in s) for s in sets)))
    np.testing.assert_allclose(nb.holm(p), closed, rtol=1e-12)


@pytest.mark.parametrize("p", [[0.5, math.nan], [-0.1], [1.1], [[0.5]]])
def test_holm_names_bad_p_values(p):
    with pytest.raises(ValueError, match="p:"):
        nb.holm(p)


scores_with_ties = st.lists(
    st.tuples(st.integers(-5, 5), st.sampled_from([-1, 1])), min_size=1, max_size=40
)


@given(pairs=scores_with_ties)
def test_sliding_counts_what_every_threshold_lets_through(pairs):
    s, y = np.array(pairs, dtype=float).T
    false, found = nb.sliding(s, y)
    thresholds = np.append(np.inf, np.unique(s)[::-1])
    assert false.tolist() == [((s >= t) & (y < 0)).sum() for t in thresholds]
    assert found.tolist() == [((s >= t) & (y > 0)).sum() for t in thresholds]


@given(pairs=scores_with_ties)
def test_the_area_is_the_chance_that_a_seven_scores_higher(pairs):
    s, y = np.array([*pairs, (0, 1), (0, -1)], dtype=float).T
    difference = s[y > 0][:, None] - s[y < 0]
    expected = (difference > 0).mean() + (difference == 0).mean() / 2
    assert nb.area(s, y) == pytest.approx(expected, abs=1e-12)


def test_sliding_equals_scikit_learns():
    metrics = pytest.importorskip("sklearn.metrics")
    s, y = (v.numpy() for v in examples(300))
    s = s.round(1)
    false, found = nb.sliding(s, y)
    fpr, tpr, _ = metrics.roc_curve(y, s, drop_intermediate=False)
    np.testing.assert_allclose(false / false[-1], fpr)
    np.testing.assert_allclose(found / found[-1], tpr)
    precision, recall, _ = metrics.precision_recall_curve(y, s)
    np.testing.assert_allclose((found[1:] / (found + false)[1:])[::-1], precision[:-1])
    np.testing.assert_allclose((found / found[-1])[1:][::-1], recall[:-1])


@pytest.mark.parametrize("s", [[[0.0]], [math.nan], [math.inf]])
def test_sliding_names_bad_scores(s):
    with pytest.raises(ValueError, match="s:"):
        nb.sliding(np.array(s), np.ones(1))


def test_sliding_says_how_many_labels_there_should_be():
    with pytest.raises(ValueError, match="y: expected 2 values, as many as scores s, got 1"):
        nb.sliding([0.0, 1.0], [1])


@given(n=st.integers(1, 60), seed=st.integers(0, 10_000))
def test_the_calibration_error_is_that_of_the_plain_loop(n, seed):
    s, y = (v.numpy() for v in examples(n, seed))
    doubt, errors = 1 / (1 + np.exp(np.abs(s))), s * y <= 0
    total = 0.0
    for low, high in itertools.pairwise(nb.DOUBT):
        part = (doubt >= low) & ((doubt < high) | (high == 0.5))
        if part.any():
            total += part.sum() * abs(doubt[part].mean() - errors[part].mean())
    assert nb.calibration_error(s, y) == pytest.approx(total / n, abs=1e-12)
    assert nb.reliability(s, y)[0].sum() == n
    assert nb.reliability(s, y)[2].sum() == errors.sum()


def test_scores_that_are_log_odds_are_calibrated():
    rng = np.random.default_rng(0)
    s = 4 * rng.standard_normal(50_000)
    y = np.where(rng.random(50_000) < 1 / (1 + np.exp(-s)), 1, -1)
    assert nb.calibration_error(s, y) < 0.005 < 0.03 < nb.calibration_error(3 * s, y)


# What drives a decision ------------------------------------------------------------------------


def test_the_pixels_of_a_linear_model_add_up_to_its_score():
    model = nb.initialise(nb.linear(), generator())
    image = torch.rand(1, 28, 28, generator=generator(1))
    parts = nb.gradient_times_input(model, image)
    torch.testing.assert_close(parts.flatten(), (model[1].weight[0] * image.flatten()).detach())
    hidden = nb.occlusion(model, image, size=3)
    assert hidden.shape == (28, 28)
    for row, column in [(0, 0), (5, 27), (14, 14), (27, 3)]:
        square = parts[max(0, row - 1) : row + 2, max(0, column - 1) : column + 2].sum()
        assert hidden[row, column].item() == pytest.approx(square.item(), abs=1e-5)


def test_what_is_not_inked_drives_nothing():
    model = nb.initialise(nb.cnn(), generator())
    image = torch.zeros(1, 28, 28)
    image[0, 10:18, 12:16] = torch.rand(8, 4, generator=generator(1))
    assert not nb.gradient_times_input(model, image)[image[0] == 0].any()
    hidden = nb.occlusion(model, image)
    assert hidden[:7].abs().max() < 1e-5
    assert hidden[13, 13].abs() > 1e-3


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
    seen = []

    def watch(model):
        seen.append(nb.wrong(nb.scores(model, validation[0]), validation[1]).sum().item())
        return seen[-1]

    history = nb.fit(model, loss, train, generator(1), epochs=6, lr=0.05, watch=watch)
    assert [value for _, value in history] == seen
    assert len(history) == 6
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


def test_training_happens_on_the_device(monkeypatch, strokes):
    """The device "meta" holds shapes without numbers, and mixes with no other device."""
    train, _ = parts(strokes)
    monkeypatch.setitem(vars(nb), "choose_device", lambda: "meta")
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
    monkeypatch.setitem(vars(nb), "choose_device", lambda: "cpu")
    nb.fit(model, nb.logistic_loss, parts(strokes)[0], generator(), epochs=1, lr=0.1)
    assert places == ["cpu", "home"]


@pytest.mark.parametrize("asks", [True, False])
def test_a_progress_bar_is_for_people(monkeypatch, capsys, strokes, asks):
    monkeypatch.delenv("TQDM_DISABLE", raising=False)
    shell = SimpleNamespace(get_parent=lambda: {"content": {"allow_stdin": asks}})
    monkeypatch.setattr(builtins, "get_ipython", lambda: shell, raising=False)
    assert nb.someone_watches() is asks
    train, _ = parts(strokes)
    nb.fit(nb.linear(), nb.logistic_loss, train, generator(), epochs=1, lr=0.1)
    assert ("epochs" in capsys.readouterr().err) is asks


def test_without_a_notebook_a_terminal_counts_as_people(monkeypatch):
    monkeypatch.delattr(builtins, "get_ipython", raising=False)
    monkeypatch.setattr("sys.stderr", SimpleNamespace(isatty=lambda: True))
    assert nb.someone_watches()
    monkeypatch.setattr("sys.stderr", None)
    assert not nb.someone_watches()


def test_one_example_can_be_fitted(strokes):
    one = strokes[0][:1], strokes[1][:1]
    model = nb.initialise(nb.linear(), generator())
    history = nb.fit(model, nb.logistic_loss, one, generator(), epochs=40, lr=0.1)
    assert history[-1] == (history[-1][0], None)
    assert not nb.wrong(nb.scores(model, one[0]), one[1]).any()


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
