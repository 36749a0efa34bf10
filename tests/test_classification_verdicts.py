"""What is said of a classifier: intervals, tests, curves, calibration, and what drives it."""

import itertools
import math

import numpy as np
import pytest
from classification_cases import examples, nb
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
    ("arguments", "name"),
    [
        ((-1, 5), "k:"),
        ((6, 5), "k:"),
        ((math.nan, 5), "k:"),
        ((0, 0), "n:"),
        ((5, 100, 95), "confidence:"),
        ((5, 100, -0.1), "confidence:"),
    ],
)
def test_wilson_names_the_bad_argument(arguments, name):
    with pytest.raises(ValueError, match=name):
        nb.wilson(*arguments)


def test_wilson_at_certainty_and_at_none():
    assert nb.wilson(5, 100, 0) == pytest.approx((0.05, 0.05))
    low, high = nb.wilson(5, 100, 1)
    assert low < 0.01 < 0.3 < high <= 1


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


@pytest.mark.parametrize("function", ["sliding", "area", "reliability", "calibration_error"])
@pytest.mark.parametrize("y", [[0, 1, 1], [1, 7, 7], [1, -1, math.nan], [[1], [-1], [1]]])
def test_verdicts_take_labels_of_plus_and_minus_1_alone(function, y):
    with pytest.raises(ValueError, match=r"^y: expected .*, got "):
        getattr(nb, function)([0.1, -2.0, 3.0], y)


def test_an_area_takes_both_labels():
    with pytest.raises(ValueError, match="and both"):
        nb.area([0.1, -2.0], [1, 1])


# Temperature -----------------------------------------------------------------------------------


def log_loss(s, y):
    return np.logaddexp(0, -y * s).mean()


@pytest.mark.parametrize("T", [0.05, 0.5, 1, 3, 40])
def test_a_temperature_is_recovered(T):
    rng = np.random.default_rng(0)
    s = 4 * rng.standard_normal(20_000)
    y = np.where(rng.random(20_000) < 1 / (1 + np.exp(-s)), 1, -1)
    found = nb.temperature(T * s, y)
    assert found == pytest.approx(T, rel=0.05)
    assert log_loss(T * s / found, y) <= log_loss(T * s, y) + 1e-9
    assert nb.temperature(-T * s, -y) == pytest.approx(found, rel=1e-4)


@given(n=st.integers(2, 60), seed=st.integers(0, 10_000))
def test_the_temperature_is_the_best_of_a_fine_grid(n, seed):
    s, y = (v.numpy() for v in examples(n, seed))
    slip = 0 if (s * y <= 0).any() else 1 / (2 * n)

    def cross_entropy(T):
        m = y * s / T
        return ((1 - slip) * np.logaddexp(0, -m) + slip * np.logaddexp(0, m)).mean()

    temperatures = np.abs(s).mean() * np.exp(np.linspace(-9, 9, 2000))
    grid = min(map(cross_entropy, temperatures))
    assert cross_entropy(nb.temperature(s, y)) <= grid * (1 + 1e-6)


@pytest.mark.parametrize("unit", [1e-30, 1e-9, 1e9, 1e30])
def test_the_temperature_is_in_the_unit_of_the_scores(unit):
    s, y = np.array([2.0, -1.0, 0.5, -3.0, -0.2]), np.array([1, -1, 1, -1, 1])
    assert nb.temperature(unit * s, y) == pytest.approx(unit * nb.temperature(s, y), rel=1e-9)


def test_scores_without_an_error_do_not_become_sure_beyond_measure():
    """A thousand right answers say that one in two thousand may be wrong, and no more."""
    s = np.append(np.full(500, 9.0), np.full(500, -9.0))
    doubt = 1 / (1 + np.exp(9 / nb.temperature(s, np.sign(s))))
    assert doubt == pytest.approx(1 / 2000, rel=1e-3)


def test_the_temperature_takes_labels_of_plus_and_minus_1_alone():
    with pytest.raises(ValueError, match=r"^y: "):
        nb.temperature([1.0, 2.0], [0, 1])
