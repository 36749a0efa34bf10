"""Samples, starts and the number of clusters."""

import tracemalloc

import numpy as np
import pytest
from clustering_cases import (
    GOOD,
    assert_is_fixed_point,
    best_labelling,
    distinct,
    euclidean,
    nb,
    points,
    seeds,
    small_photo,
)
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

# CLARA, starts on a sample, painting -----------------------------------------------------------


def test_clara_on_everything_is_kmedoids_quality():
    X, _, w = nb.unique_colours(small_photo(20))
    exact = nb.kmedoids(euclidean(X), 5, weights=w)
    r = nb.clara(X, 5, weights=w, size=600, rng=0)
    D = np.sqrt(nb.squared_distances(X, X[r.medoids]))
    assert r.cost == pytest.approx((w * D.min(axis=1)).sum())
    np.testing.assert_allclose(D[np.arange(len(X)), r.labels], D.min(axis=1))
    assert r.cost == r.history.min()
    assert exact.cost * 0.97 <= r.cost <= 1.05 * exact.cost


@pytest.mark.parametrize("k", [1, 3])
def test_clara_with_few_or_skewed_points(k):
    X = np.array([[0.0, 0], [1, 0], [5, 5]])
    r = nb.clara(X, k, weights=[1e9, 1, 1], rng=0)
    assert len(set(r.medoids.tolist())) == k
    assert r.cost == (0 if k == 3 else pytest.approx(1 + np.sqrt(50)))


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("X", {"X": GOOD * np.nan}),
        ("k", {"k": 0}),
        ("k", {"k": 7}),
        ("weights", {"weights": [1]}),
        ("n_samples", {"n_samples": 0}),
        ("size", {"size": 1}),
        ("rng", {"rng": "x"}),
    ],
)
def test_clara_bad_arguments(name, arguments):
    with pytest.raises(ValueError, match=name):
        nb.clara(**{"X": GOOD, "k": 2} | arguments)


def test_clara_takes_little_memory_in_many_dimensions():
    X = np.random.default_rng(0).random((1500, 784))
    tracemalloc.start()
    r = nb.clara(X, 5, n_samples=1, size=1000, rng=0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20 * X.nbytes  # and not 1,000 × 1,000 × 784 numbers
    D = np.sqrt(nb.squared_distances(X, X[r.medoids]))
    assert r.cost == pytest.approx(D.min(axis=1).sum())


def test_clara_puts_each_medoid_in_its_own_cluster_though_points_are_equal():
    X = np.repeat([[0.0], [5], [9]], [6, 2, 2], axis=0)
    for seed in range(5):
        r = nb.clara(X, 6, size=6, rng=seed)
        np.testing.assert_array_equal(r.labels[r.medoids], np.arange(6))


def test_several_starts_know_the_distinct_points_of_all():
    X = np.random.default_rng(0).random((2000, 2))
    r = nb.kmeans_of_starts(X, 590, rng=0, size=600, n_starts=2, n_finals=1)
    assert len(np.unique(r.labels)) == 590
    with pytest.raises(ValueError, match=r"k: .* from 1 to 2000, the number of distinct"):
        nb.kmeans_of_starts(X, 2001, rng=0, size=600)


def test_several_starts_are_not_worse_than_the_typical_one():
    X, _, w = nb.unique_colours(small_photo(4))
    r = nb.kmeans_of_starts(X, 8, weights=w, rng=0)
    one = [nb.kmeans(X, 8, weights=w, rng=s).inertia for s in range(7)]
    assert r.converged
    assert r.inertia <= np.median(one) * (1 + 1e-12)
    few = nb.kmeans_of_starts(GOOD, 6, rng=0)
    assert few.inertia == 0


@given(points, seeds, st.data())
def test_palettes_each_are_a_fixed_point_and_better_than_the_one_before(X, seed, data):
    w = data.draw(arrays(np.int64, len(X), elements=st.integers(0, 3)).filter(np.any))
    k_max = distinct(X[w > 0])
    chain = nb.palettes(X, k_max, weights=w, rng=seed, n_tries=2)
    assert [len(r.centroids) for r in chain] == list(range(1, k_max + 1))
    assert (np.diff([r.inertia for r in chain]) < 0).all()
    np.testing.assert_allclose(chain[0].centroids, [np.average(X, axis=0, weights=w)], atol=1e-12)
    assert chain[-1].inertia == 0
    for r in chain:
        assert r.converged
        assert_is_fixed_point(X, w, r)


@pytest.mark.parametrize("seed", range(3))
def test_palettes_reach_the_optimum_of_groups_far_apart(seed):
    rng = np.random.default_rng(seed)
    places = np.array([[0, 0], [0, 10], [70, 0], [300, 300.0]])  # each apart on its own scale
    X = np.repeat(places, [2, 2, 1, 2], axis=0) + 0.01 * rng.standard_normal((7, 2))
    for k, r in enumerate(nb.palettes(X, 3, rng=rng), start=1):
        assert r.inertia == pytest.approx(best_labelling(X, k))


@pytest.mark.parametrize("k", [2, 3])
def test_palettes_that_try_every_point_are_near_the_optimum_of_eight(k):
    sets = [np.random.default_rng(seed).standard_normal((8, 2)) for seed in range(7)]
    ratios = [
        nb.palettes(X, k, rng=0, n_tries=100)[-1].inertia / best_labelling(X, k) for X in sets
    ]
    assert min(ratios) >= 1 - 1e-9
    assert np.median(ratios) <= 1 + 1e-9


@pytest.mark.parametrize("name", ["X", "k_max", "weights", "rng", "n_tries"])
def test_palettes_bad_arguments(name):
    wrong = {"X": GOOD * np.nan, "k_max": 7, "weights": [1], "rng": "a", "n_tries": 0}
    with pytest.raises(ValueError, match=name):
        nb.palettes(**{"X": GOOD, "k_max": 2} | {name: wrong[name]})


@pytest.mark.parametrize("name", ["n_starts", "n_finals", "size", "k", "X"])
def test_several_starts_bad_arguments(name):
    arguments = {"X": GOOD, "k": 2} | {name: 0 if name != "X" else np.full((6, 2), np.inf)}
    with pytest.raises(ValueError, match=name):
        nb.kmeans_of_starts(**arguments)


def test_painting_takes_the_nearest_rounded_colour():
    X, inverse, _ = nb.unique_colours(small_photo(20))
    index, palette = nb.paint(X, inverse, np.array([[-3.0, 0.4, 0.6], [254.6, 300, 128.5]]))
    assert palette.dtype == np.uint8
    assert palette.tolist() == [[0, 0, 1], [255, 255, 128]]
    D = nb.squared_distances(small_photo(20).reshape(-1, 3), palette.astype(float))
    np.testing.assert_array_equal(index.ravel(), D.argmin(axis=1))


def test_psnr():
    a, b = np.zeros((2, 2, 3), np.uint8), np.full((2, 2, 3), 255, np.uint8)
    assert nb.psnr(a, b) == 0
    assert nb.psnr(a, a) == np.inf
    assert nb.psnr(a, a + 1) == pytest.approx(20 * np.log10(255))
    image = small_photo()
    noisy = np.random.default_rng(0).integers(0, 256, image.shape).astype(np.uint8)
    error = np.mean((image.astype(float) - noisy) ** 2)
    assert nb.psnr(image, noisy) == pytest.approx(10 * np.log10(255**2 / error))


@pytest.mark.parametrize(
    ("name", "image", "other"),
    [
        ("other", np.zeros((2, 2, 3), np.uint8), np.zeros((2, 3, 3), np.uint8)),
        ("other", np.zeros((2, 2, 3), np.uint8), np.zeros((1, 1, 3), np.uint8)),
        ("other", np.zeros((2, 2, 3), np.uint8), np.zeros((2, 2, 3))),
        ("image", np.zeros((2, 2, 3)), np.zeros((2, 2, 3))),
        ("image", np.zeros((0, 2, 3), np.uint8), np.zeros((0, 2, 3), np.uint8)),
        ("image", None, None),
    ],
)
def test_psnr_bad_arguments(name, image, other):
    with pytest.raises(ValueError, match=name):
        nb.psnr(image, other)


# How many clusters -----------------------------------------------------------------------------


def test_silhouette_against_scikit_learn_with_weights_as_repeats():
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(0)
    X, w = rng.standard_normal((40, 2)), rng.integers(1, 4, 40)
    for k in (2, 5, 12):
        labels = nb.kmeans(X, k, weights=w, rng=k).labels
        expected = metrics.silhouette_score(np.repeat(X, w, axis=0), np.repeat(labels, w))
        assert nb.silhouette(euclidean(X), labels, w) == pytest.approx(expected)


def test_silhouette_of_points_alone_and_of_equal_points():
    assert nb.silhouette(1 - np.eye(3), [0, 1, 2]) == 0  # a point alone counts 0
    assert nb.silhouette(np.zeros((4, 4)), [0, 0, 1, 1]) == 0
    D = np.array([[0, 0, 5], [0, 0, 5], [5, 5, 0.0]])
    assert nb.silhouette(D, [0, 0, 1]) == pytest.approx(2 / 3)
    assert nb.silhouette(D * 1e-305, [0, 0, 1]) == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("D", {"D": np.zeros((3, 3))}),
        ("D", {"D": np.full((4, 4), np.nan)}),
        ("labels", {"labels": [0, 0, 0, 0]}),
        ("labels", {"labels": [0, 0, 2, 2]}),
        ("weights", {"weights": [1]}),
        ("weights: .*whole", {"weights": [0.25] * 4}),
        ("D: .*from 0", {"D": np.eye(4) - 1}),
        ("D: .*similarities", {"D": np.eye(4)}),
        ("D: .*inf", {"D": np.where(np.eye(4), 0, np.inf)}),
        ("D: .*square", {"D": np.zeros((4, 3))}),
        ("labels", {"labels": [-1, 0, 1, 1]}),
        ("labels", {"labels": [0.0, 0, 1, 1]}),
        ("labels", {"labels": ["0", "0", "1", "1"]}),
        ("labels", {"labels": [False, False, True, True]}),
    ],
)
def test_silhouette_bad_arguments(name, arguments):
    with pytest.raises(ValueError, match=name):
        nb.silhouette(**{"D": 1 - np.eye(4), "labels": [0, 0, 1, 1]} | arguments)


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_gap_finds_groups_far_apart(groups):
    rng = np.random.default_rng(groups)
    X = np.concatenate([np.add(rng.random((60, 2)), [30 * j, 20 * (j % 2)]) for j in range(groups)])
    gap, error = nb.gap_statistic(X, 6, rng=0)
    assert gap.shape == error.shape == (6,)
    assert 1 + np.flatnonzero(gap[:-1] >= gap[1:] - error[1:])[0] == groups


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("X", {"X": GOOD[0]}),
        ("k_max", {"k_max": 7}),
        ("n_refs", {"n_refs": 1}),
        ("rng", {"rng": "a"}),
    ],
)
def test_gap_bad_arguments(name, arguments):
    with pytest.raises(ValueError, match=name):
        nb.gap_statistic(**{"X": GOOD, "k_max": 2} | arguments)
