"""What is said of a classifier: intervals, tests, curves, calibration, and what drives it."""

import itertools
import math

import numpy as np
import pytest
import torch
from classification_cases import examples, generator, nb
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

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
