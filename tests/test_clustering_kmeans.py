"""K-means: the plain loop, the fast loop, starts and edges."""

from itertools import combinations

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


@given(points, st.data())
def test_kmeans_is_plain_lloyd(X, data):
    k = data.draw(st.integers(1, distinct(X)))
    w = data.draw(arrays(np.float64, len(X), elements=st.integers(1, 3)))
    C = X[data.draw(st.lists(st.integers(0, len(X) - 1), min_size=k, max_size=k))]
    fast, plain = nb.kmeans(X, k, weights=w, init=C), nb.lloyd(X, w, C)
    np.testing.assert_array_equal(fast.centroids, plain.centroids)
    np.testing.assert_array_equal(fast.labels, plain.labels)
    assert (fast.n_iter, fast.converged) == (plain.n_iter, plain.converged)
    np.testing.assert_allclose(fast.history, plain.history, rtol=1e-12, atol=1e-9)
    assert_is_fixed_point(X, w, fast)


@pytest.mark.parametrize("k", [1, 2, 5, 40])
@pytest.mark.parametrize(("n", "d", "shift"), [(3000, 2, 0.0), (500, 20, 0.0), (500, 3, 1e6)])
def test_kmeans_is_plain_lloyd_on_real_numbers(n, d, shift, k):
    rng = np.random.default_rng(n + k)
    X, w = rng.standard_normal((n, d)) + shift, rng.random(n)
    C = X[rng.choice(n, k, replace=False)]
    fast, plain = nb.kmeans(X, k, weights=w, init=C), nb.lloyd(X, w, C)
    np.testing.assert_array_equal(fast.labels, plain.labels)
    np.testing.assert_allclose(fast.centroids, plain.centroids, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(fast.history, plain.history, rtol=1e-8)
    assert fast.n_iter == plain.n_iter


@pytest.mark.parametrize("k", [2, 7, 32])
def test_kmeans_on_weighted_colours_is_plain_lloyd_on_pixels(k):
    pixels = small_photo().reshape(-1, 3).astype(float)
    colours, inverse, counts = nb.unique_colours(small_photo())
    C = nb.starting_centroids(colours, counts, k, "random", np.random.default_rng(k))
    fast, plain = (
        nb.kmeans(colours, k, weights=counts, init=C),
        nb.lloyd(pixels, pixels[:, 0] * 0 + 1, C),
    )
    np.testing.assert_array_equal(fast.centroids, plain.centroids)
    np.testing.assert_array_equal(fast.labels[inverse.ravel()], plain.labels)
    assert fast.n_iter == plain.n_iter


@pytest.mark.parametrize("k", [2, 8, 24, 64])
def test_kmeans_against_scikit_learn(k):
    cluster = pytest.importorskip("sklearn.cluster")
    colours, _, counts = nb.unique_colours(small_photo())
    rng = np.random.default_rng(k)
    C = nb.starting_centroids(colours, counts, k, "k-means++", rng)
    # Whole numbers make ties, which scikit-learn, having centred its data, may break otherwise:
    # with centroids shifted a little there are none.
    C += 1e-3 * rng.random(C.shape)
    peer = cluster.KMeans(k, init=C, n_init=1, tol=0, max_iter=1000, algorithm="lloyd")
    peer.fit(colours, sample_weight=counts)
    r = nb.kmeans(colours, k, weights=counts, init=C, max_iter=1000)
    assert r.n_iter == peer.n_iter_
    assert r.inertia == pytest.approx(peer.inertia_, rel=1e-9)
    np.testing.assert_array_equal(r.labels, peer.labels_)


@given(points, st.sampled_from(["random", "k-means++"]), seeds, st.data())
def test_kmeans_objective_never_rises(X, init, seed, data):
    k = data.draw(st.integers(1, distinct(X)))
    r = nb.kmeans(X, k, init=init, rng=seed)
    assert (np.diff(r.history) <= 0).all()
    assert r.inertia == pytest.approx(nb.squared_distances(X, r.centroids).min(axis=1).sum())
    assert r.history[-1] == pytest.approx(r.inertia, abs=1e-9)
    assert len(r.history) == r.n_iter + 1
    assert r.converged
    assert_is_fixed_point(X, np.ones(len(X)), r)


@given(points, seeds, st.sampled_from(["random", "k-means++"]), st.data())
def test_kmeans_weights_are_repeats(X, seed, init, data):
    w = data.draw(arrays(np.int64, len(X), elements=st.integers(0, 4)).filter(np.any))
    k = data.draw(st.integers(1, distinct(X[w > 0])))
    C = nb.starting_centroids(X, w, k, init, np.random.default_rng(seed))
    again = nb.starting_centroids(
        np.repeat(X, w, 0), np.ones(w.sum()), k, "random", np.random.default_rng(seed)
    )
    if init == "random":
        np.testing.assert_array_equal(C, again)
    one = nb.kmeans(X, k, weights=w, init=C)
    many = nb.kmeans(np.repeat(X, w, axis=0), k, init=C)
    np.testing.assert_array_equal(one.centroids, many.centroids)
    np.testing.assert_array_equal(np.repeat(one.labels, w), many.labels)
    assert one.inertia == pytest.approx(many.inertia, rel=1e-12)
    assert one.n_iter == many.n_iter


@given(points, seeds, st.integers(-3, 3), st.data())
def test_kmeans_permutation_translation_and_scaling(X, seed, power, data):
    k = data.draw(st.integers(1, distinct(X)))
    order = data.draw(st.permutations(range(len(X))))
    C = nb.starting_centroids(X, np.ones(len(X)), k, "k-means++", np.random.default_rng(seed))
    r, moved = nb.kmeans(X, k, init=C), nb.kmeans(X[order] + 8, k, init=C + 8)
    if not np.isclose(r.history[0], moved.history[0]):  # an empty cluster and a tie for farthest
        return
    scaled = nb.kmeans(X * 2.0**power, k, init=C * 2.0**power)
    np.testing.assert_array_equal(scaled.labels, r.labels)
    assert scaled.inertia == pytest.approx(r.inertia * 4.0**power)
    if r.n_iter == moved.n_iter and np.allclose(r.centroids + 8, moved.centroids):
        np.testing.assert_array_equal(moved.labels, r.labels[order])
    else:  # a centroid that is no dyadic number may round a tie differently after the shift
        assert_is_fixed_point(X[order] + 8, np.ones(len(X)), moved)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("k", [2, 3])
def test_kmeans_reaches_the_optimum_of_eight_points(seed, k):
    X = np.random.default_rng(seed).standard_normal((8, 2))
    ends = [nb.kmeans(X, k, init=X[list(c)]).inertia for c in combinations(range(8), k)]
    assert min(ends) == pytest.approx(best_labelling(X, k))


@given(points, seeds)
def test_kmeans_one_cluster_and_one_per_distinct_point(X, seed):
    one = nb.kmeans(X, 1, rng=seed)
    np.testing.assert_allclose(one.centroids, [X.mean(axis=0)], atol=1e-12)
    for init in ("random", "k-means++"):
        every = nb.kmeans(X, distinct(X), init=init, rng=seed)
        assert every.inertia == 0
        np.testing.assert_array_equal(np.unique(every.centroids, axis=0), np.unique(X, axis=0))
    with pytest.raises(ValueError, match=f"k: .*to {distinct(X)}, the number of distinct"):
        nb.kmeans(X, distinct(X) + 1, rng=seed)


def test_empty_clusters_go_to_the_farthest_point():
    X = np.array([[0.0], [1.0], [2.0], [50.0]])
    r = nb.kmeans(X, 3, init=[[1.0], [1e3], [2e3]], max_iter=1)
    assert r.history[0] == 1  # first 50 and then 0 get a centroid of their own
    r = nb.kmeans(X, 2, init=[[1.0], [1e6]])
    assert sorted(r.centroids.ravel()) == [1.0, 50.0]


def test_a_cluster_that_empties_on_the_way_is_refilled():
    X = np.array([[11.0, 6], [4, 9], [10, 1], [1, 7], [0, 8]])
    C = np.array([[17.0, 5], [0, 16], [5, -1]])
    first = nb.squared_distances(X, C).argmin(axis=1)
    means = np.array([X[first == j].mean(axis=0) for j in range(3)])
    assert len(set(nb.squared_distances(X, means).argmin(axis=1))) == 2  # one is empty
    for shift in (0, 0.3):  # whole numbers take the incremental sums, others do not
        r, plain = (
            nb.kmeans(X + shift, 3, init=C + shift),
            nb.lloyd(X + shift, np.ones(5), C + shift),
        )
        assert len(set(r.labels.tolist())) == 3
        assert (np.diff(r.history) <= 0).all()
        np.testing.assert_array_equal(r.labels, plain.labels)
        np.testing.assert_allclose(r.history, plain.history, atol=1e-9)


def test_a_bad_start_is_kept_apart_from_a_good_one():
    X = np.array([[0.0], [0.1], [100.0], [200.0]])
    assert nb.kmeans(X, 3, init=X[[0, 1, 2]]).inertia > 1000 * nb.kmeans(X, 3, init=X[1:]).inertia


def passes_to_fill(X, w, C):
    """Fill the empty clusters; return how many passes that took, and labels without empty ones."""
    passes = []
    _, labels = nb.fill_empty(
        X, w, C, nb.nearest(X, C), lambda X, C: passes.append(1) or nb.nearest(X, C)
    )
    assert (np.bincount(labels, w, len(C)) > 0).all()
    return len(passes)


def test_all_empty_clusters_are_filled_in_one_pass():
    X = np.arange(40.0)[:, None] ** 2
    for k in (1, 3, 12):
        C = np.vstack([[[0.0]], 1e6 + np.arange(k)[:, None]])
        assert passes_to_fill(X, np.ones(40), C) == 1


def test_web_colours_as_a_start_take_few_passes():
    X, _, w = nb.unique_colours(small_photo(4))
    levels = np.arange(0.0, 256, 51)
    web = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(-1, 3)
    empty = np.sum(np.bincount(nb.nearest(X, web), w, 216) == 0)
    assert empty > 100
    assert passes_to_fill(X, w, web) <= 10
    assert_is_fixed_point(X, w, nb.kmeans(X, 216, weights=w, init=web))


@pytest.mark.parametrize("init", ["random", "k-means++"])
def test_a_start_with_more_centroids_than_places_names_k(init):
    X = np.array([[0.0, 0], [0, 0], [5, 5]])
    with pytest.raises(ValueError, match=r"k: expected at most 2, .* got 3"):
        nb.starting_centroids(X, np.ones(3), 3, init, 0)
    with pytest.raises(ValueError, match=r"k: expected at most 1, .* got 2"):
        nb.starting_centroids(X, np.array([1.0, 1, 0]), 2, init, 0)


@pytest.mark.parametrize(("n", "d", "k"), [(30, 2, 3), (200, 2, 8), (1000, 3, 8)])
def test_jitter_far_from_the_origin_is_clustered_like_any_other(n, d, k):
    for seed in range(20):
        rng = np.random.default_rng(seed)
        X = 1e6 + 1e-9 * rng.standard_normal((n, d))
        C = np.unique(X[rng.choice(n, k, replace=False)], axis=0)
        r, near = nb.kmeans(X, len(C), init=C), nb.kmeans(X - 1e6, len(C), init=C - 1e6)
        assert r.converged
        np.testing.assert_array_equal(r.labels, near.labels)
        np.testing.assert_allclose(r.centroids - 1e6, near.centroids, atol=1e-10)  # spacing at 1e6
        assert r.inertia == pytest.approx(near.inertia)


def test_a_circle_of_roundings_is_an_end():
    circles = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        X = 1e6 + 1e-9 * rng.standard_normal((200, 2))
        C = np.unique(X[rng.choice(200, 8, replace=False)], axis=0)
        for method in (nb.lloyd, nb.lloyd_with_margins):  # without what spares `kmeans` the circles
            r = method(X, np.ones(200), C, 1000)
            assert r.converged
            assert r.n_iter < 1000
            again = method(X, np.ones(200), r.centroids, 1)
            circles += not np.array_equal(again.centroids, r.centroids)
    assert circles > 20  # or this tests nothing


def test_squares_too_small_for_floats_are_refused_by_name():
    X = np.random.default_rng(0).random((20, 2))
    for tiny in (1e-101, 1e-170, 1e-300):
        with pytest.raises(ValueError, match=r"X: .*multiply"):
            nb.kmeans(X * tiny, 3, rng=0)
    r = nb.kmeans(X * 1e-99, 3, init=X[:3] * 1e-99)
    np.testing.assert_array_equal(r.labels, nb.kmeans(X, 3, init=X[:3]).labels)
    assert nb.kmeans(np.zeros((4, 2)), 1).inertia == 0
    with pytest.raises(ValueError, match="k"):
        nb.kmeans([[0.0], [1e-170], [1]], 3)


def test_a_far_centroid_does_not_blur_the_rest():
    X = np.random.default_rng(0).random((200, 3))
    C = np.vstack([X[:5], [[1e30, 0, 0]]])
    fast, plain = nb.kmeans(X, 6, init=C), nb.lloyd(X, np.ones(200), C)
    np.testing.assert_array_equal(fast.labels, plain.labels)


@pytest.mark.parametrize("scale", [1e-90, 1.0, 1e90])
@pytest.mark.parametrize("shift", [0.0, 1.0, 1e3, 1e8])
@pytest.mark.parametrize(("d", "k"), [(1, 1), (3, 2), (3, 40), (30, 7)])
def test_products_give_the_plain_labels_and_safe_margins(scale, shift, d, k):
    rng = np.random.default_rng(k)
    X = scale * (shift + rng.random((3000, d)))
    C = X[rng.choice(3000, k, replace=False)]
    X[:50] = C[rng.integers(0, k, 50)]
    X[50:100] = (X[100:150] + X[:50]) / 2  # ties, nearly
    product = nb.Product(X, C)
    D = nb.squared_distances(X, C)
    for i in (None, np.arange(0, 3000, 7)):
        labels, margin = product.nearest(C, i)
        some = D if i is None else D[i]
        np.testing.assert_array_equal(labels, some.argmin(axis=1))
        if k > 1:
            u, second = np.sqrt(np.sort(some, axis=1)[:, :2]).T
            assert (margin <= (second - u) * (1 + 1e-12)).all()
            assert np.median(margin / np.maximum(second - u, 1e-300)) > 0.9 or shift > 1e3


def test_max_iter_and_tol():
    X = np.random.default_rng(0).random((2000, 3))
    C = X[:9]
    short = nb.kmeans(X, 9, init=C, max_iter=3)
    assert (short.n_iter, short.converged, len(short.history)) == (3, False, 4)
    np.testing.assert_array_equal(nb.lloyd(X, np.ones(2000), C, 3).labels, short.labels)
    loose, strict = nb.kmeans(X, 9, init=C, tol=0.01), nb.kmeans(X, 9, init=C)
    assert loose.converged
    assert loose.n_iter < strict.n_iter
    np.testing.assert_allclose(loose.history, strict.history[: loose.n_iter + 1], rtol=1e-12)
    assert_is_fixed_point(X, np.ones(2000), short.__class__(**{**vars(short), "converged": False}))


def test_huge_and_tiny_numbers():
    X = np.random.default_rng(0).standard_normal((50, 2))
    for scale in (1e-60, 1e90):
        r = nb.kmeans(X * scale, 4, init=X[:4] * scale)
        np.testing.assert_array_equal(r.labels, nb.kmeans(X, 4, init=X[:4]).labels)


def test_k_means_plus_plus_probabilities():
    X = np.array([[0.0], [1.0], [3.0]])
    rng = np.random.default_rng(0)
    C = np.array(
        [
            nb.starting_centroids(X, np.array([1, 1, 2]), 2, "k-means++", rng).ravel()
            for _ in range(4000)
        ]
    )
    first = [np.mean(C[:, 0] == x) for x in (0, 1, 3)]
    np.testing.assert_allclose(first, [0.25, 0.25, 0.5], atol=0.03)
    second = C[C[:, 0] == 0, 1]  # w D²: 1 × 1 and 2 × 9
    np.testing.assert_allclose(np.mean(second == 3), 18 / 19, atol=0.03)


def test_start_is_within_the_expected_bound():
    X, _, w = nb.unique_colours(small_photo(16))
    starts = [
        nb.starting_centroids(X, w, 8, "k-means++", np.random.default_rng(s)) for s in range(30)
    ]
    inertia = [(w * nb.squared_distances(X, C).min(axis=1)).sum() for C in starts]
    assert (
        np.mean(inertia)
        <= 8 * (np.log(8) + 2) * nb.kmeans_of_starts(X, 8, weights=w, rng=0).inertia
    )


@pytest.mark.parametrize("init", ["random", "k-means++"])
def test_same_seed_same_answer(init):
    X, _, w = nb.unique_colours(small_photo())
    a, b = (nb.kmeans(X, 6, weights=w, init=init, rng=np.random.default_rng(4)) for _ in range(2))
    np.testing.assert_array_equal(a.centroids, b.centroids)
    assert nb.kmeans(X, 6, weights=w, init=init, rng=4).inertia == a.inertia


def test_arguments_are_left_alone():
    X, w = np.random.default_rng(0).random((30, 2)), np.ones(30)
    C, D, m = X[:3].copy(), euclidean(X), np.array([0, 1, 2])
    copies = [a.copy() for a in (X, w, C, D, m)]
    nb.kmeans(X, 3, weights=w, init=C)
    nb.kmedoids(D, 3, weights=w, init=m)
    nb.kmedoids_alternating(D, 3, weights=w, init=m)
    nb.clara(X, 3, weights=w, rng=0)
    for before, after in zip(copies, (X, w, C, D, m), strict=True):
        np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("X", {"X": np.full((3, 2), np.nan)}),
        ("X", {"X": [[1.0, np.inf], [0, 0]]}),
        ("X", {"X": [[1e200, 0], [0, 0]]}),
        ("X", {"X": np.zeros((0, 2))}),
        ("X", {"X": np.zeros((3, 0))}),
        ("X", {"X": np.arange(3.0)}),
        ("X", {"X": [["a", "b"]]}),
        ("X", {"X": [[1], [1, 2]]}),
        ("X", {"X": [[1j, 2]]}),
        ("k", {"k": 0}),
        ("k", {"k": -1}),
        ("k", {"k": 7}),
        ("k", {"k": 2.0}),
        ("k", {"k": True}),
        ("k", {"k": None}),
        ("weights", {"weights": [1, 1]}),
        ("weights", {"weights": [1, 1, 1, 1, 1, -1]}),
        ("weights", {"weights": [1, 1, 1, 1, 1, np.nan]}),
        ("weights", {"weights": np.zeros(6)}),
        ("weights", {"weights": np.ones((6, 1))}),
        ("k: .* from 1 to 1, the number of distinct", {"weights": [0, 0, 3, 0, 0, 0]}),
        ("init", {"init": "kmeans"}),
        ("init", {"init": GOOD[:3]}),
        ("init", {"init": GOOD[:2, :1]}),
        ("init", {"init": GOOD[:2] * np.nan}),
        ('init: expected "k-means.*None', {"init": None}),
        ("rng", {"rng": "seed"}),
        ("rng", {"rng": -1}),
        ("max_iter", {"max_iter": 0}),
        ("max_iter", {"max_iter": 2.5}),
        ("tol", {"tol": -1.0}),
        ("tol", {"tol": np.nan}),
        ("tol", {"tol": "0"}),
    ],
)
def test_kmeans_bad_arguments(name, arguments):
    with pytest.raises(ValueError, match=name):
        nb.kmeans(**{"X": GOOD, "k": 2, "rng": 0} | arguments)
