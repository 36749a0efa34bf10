"""K-means and K-medoids: references, properties, and what bad input gets."""

from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from common.photos import photo
from tools.notebooks import algorithms

nb = algorithms("clustering")

# Small whole coordinates make duplicates and ties common.
points = st.tuples(st.integers(1, 14), st.integers(1, 3)).flatmap(
    lambda shape: arrays(np.float64, shape, elements=st.integers(-4, 4))
)
seeds = st.integers(0, 2**32 - 1)


def distinct(X):
    return len(np.unique(X, axis=0))


def euclidean(X):
    return np.sqrt(nb.squared_distances(X, X))


def small_photo(step=8):
    return photo()[::step, ::step]


# unique_colours ----------------------------------------------------------------------------------


def test_colours_are_those_of_numpy_and_rebuild_the_image():
    image = small_photo()
    colours, inverse, counts = nb.unique_colours(image)
    expected, times = np.unique(image.reshape(-1, 3), axis=0, return_counts=True)
    np.testing.assert_array_equal(colours, expected)
    np.testing.assert_array_equal(counts, times)
    np.testing.assert_array_equal(colours[inverse], image)
    assert inverse.shape == image.shape[:2]


@given(
    arrays(np.int32, st.tuples(st.integers(1, 5), st.integers(1, 5)), elements=st.integers(0, 9))
)
def test_a_table_finds_what_sorting_finds(codes):
    for a, b in zip(nb.by_table(codes, 10), nb.by_sorting(codes), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_large_image_goes_through_the_table():
    image = np.tile(small_photo(), (20, 20, 1))
    assert image.shape[0] * image.shape[1] >= 2**20
    colours, inverse, counts = nb.unique_colours(image)
    few, _, times = nb.unique_colours(small_photo())
    np.testing.assert_array_equal(colours, few)
    np.testing.assert_array_equal(counts, 400 * times)
    np.testing.assert_array_equal(colours[inverse], image)


@pytest.mark.parametrize("shape", [(1, 1), (5, 4)])
def test_one_colour(shape):
    image = np.full((*shape, 3), (255, 0, 7), np.uint8)
    colours, _, counts = nb.unique_colours(image)
    np.testing.assert_array_equal(colours, [[255, 0, 7]])
    assert counts.tolist() == [shape[0] * shape[1]]
    r = nb.kmeans(colours, 1, weights=counts, rng=0)
    assert (r.inertia, r.converged, r.labels.tolist()) == (0, True, [0])
    assert nb.kmedoids(euclidean(colours), 1, weights=counts).cost == 0
    assert nb.clara(colours, 1, weights=counts, rng=0).cost == 0


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((2, 2), np.uint8),
        np.zeros((2, 2, 4), np.uint8),
        np.zeros((2, 2, 3)),
        np.zeros((0, 2, 3), np.uint8),
        None,
    ],
)
def test_no_image(image):
    with pytest.raises(ValueError, match="image"):
        nb.unique_colours(image)


# K-means -----------------------------------------------------------------------------------------


def assert_is_fixed_point(X, w, r):
    D = nb.squared_distances(X, r.centroids)
    np.testing.assert_allclose(D[np.arange(len(X)), r.labels], D.min(axis=1), atol=1e-9)
    assert (np.bincount(r.labels, w, len(r.centroids)) > 0).all()
    if r.converged:
        for j, c in enumerate(r.centroids):
            mine = r.labels == j
            np.testing.assert_allclose(c, np.average(X[mine], 0, w[mine]), atol=1e-9)


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


def best_labelling(X, k):
    best = np.inf
    for labels in product(range(k), repeat=len(X) - 1):  # the first point is in cluster 0
        a = np.array([0, *labels])
        parts = [X[a == j] for j in {0, *labels}]
        best = min(best, sum(((p - p.mean(axis=0)) ** 2).sum() for p in parts))
    return best


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


GOOD = np.arange(12.0).reshape(6, 2)


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
        ("init", {"init": None}),
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


# K-medoids ---------------------------------------------------------------------------------------


@st.composite
def dissimilarities(draw):
    n = draw(st.integers(1, 12))
    D = draw(arrays(np.float64, (n, n), elements=st.integers(0, 9)))
    k = draw(st.integers(1, n))
    w = draw(arrays(np.int64, n, elements=st.integers(1, 3)))
    return D, k, w


def best_swap(D, w, medoids):
    """Lowest cost after any single swap, from the definition."""
    others = [c for c in range(len(D)) if c not in medoids]
    trials = [[c, *np.delete(medoids, j)] for j in range(len(medoids)) for c in others]
    return min((nb.cost_of(D, w, t) for t in trials), default=np.inf)


@given(dissimilarities(), st.sampled_from(["build", "random"]), seeds)
def test_kmedoids_is_a_local_optimum_over_all_single_swaps(case, init, seed):
    D, k, w = case
    r = nb.kmedoids(D, k, weights=w, init=init, rng=seed)
    assert best_swap(D, w, r.medoids) >= r.cost - 1e-9
    assert len(set(r.medoids.tolist())) == k
    assert r.cost == pytest.approx(nb.cost_of(D, w, r.medoids))
    np.testing.assert_array_equal(r.labels, D[r.medoids].argmin(axis=0))
    assert (np.diff(r.history) < 0).all()
    assert (len(r.history), r.history[-1], r.converged) == (r.n_swaps + 1, r.cost, True)


@given(dissimilarities(), seeds)
def test_fast_swaps_are_the_plain_swaps(case, seed):
    D, k, w = case
    start = np.random.default_rng(seed).choice(len(D), k, replace=False)
    medoids, history = nb.swaps_plain(D, w, start)
    r = nb.kmedoids(D, k, weights=w, init=start)
    np.testing.assert_array_equal(r.medoids, medoids)
    np.testing.assert_allclose(r.history, history)


@given(dissimilarities(), seeds)
def test_the_change_of_cost_is_its_definition(case, seed):
    D, k, w = case
    m = np.random.default_rng(seed).choice(len(D), k, replace=False)
    labels, near, _, second = nb.two_nearest(nb.to_medoids(D, m))
    W = w[:, None] * (labels[:, None] == np.arange(k))
    change = nb.swap_changes(D, w, labels, near, second, k)
    again = nb.paid_after_swaps(D, w, W, near, second) - (w @ near + near @ W)
    np.testing.assert_allclose(again, change, atol=1e-9)
    for c, j in product(range(len(D)), range(k)):
        swapped = np.where(np.arange(k) == j, c, m)
        assert change[c, j] == pytest.approx(nb.cost_of(D, w, swapped) - nb.cost_of(D, w, m))


@given(dissimilarities(), seeds, st.sampled_from([1.0, 1e90, 1e-300, 1e-9]), st.booleans())
def test_single_precision_rules_out_no_swap_that_helps(case, seed, scale, outlier):
    D, k, w = case
    rng = np.random.default_rng(seed)
    D = scale * (D + 1e-7 * rng.random(D.shape))  # nearly ties: single precision sees none of it
    if outlier:
        D[rng.integers(len(D)), rng.integers(len(D))] = 1e99
    m, w = rng.choice(len(D), k, replace=False), w * rng.choice([1.0, 1e-60], len(D))
    labels, near, _, second = nb.two_nearest(nb.to_medoids(D, m))
    screen = nb.ProductScreen(D, w, k)
    screen.renew(labels, near, second)
    change = nb.swap_changes(D, w, labels, near, second, k).min(axis=1)
    improving = np.flatnonzero(change < -1e-12 * (w @ near) - 1e-13 * (w @ second))
    assert np.isin(improving, screen.rows(0, len(D))).all()


def test_what_single_precision_cannot_hold_is_left_to_double():
    D = 1e-300 * np.random.default_rng(0).random((30, 30))
    D[0, 1] = 1e99  # beside it the others are nothing
    w, m = np.ones(30), np.array([2, 3])
    labels, near, _, second = nb.two_nearest(nb.to_medoids(D, m))
    screen = nb.ProductScreen(D, w, 2)
    screen.renew(labels, near, second)
    improving = nb.swap_changes(D, w, labels, near, second, 2).min(axis=1) < -1e-310
    assert improving.any()
    assert np.isin(np.flatnonzero(improving), screen.rows(0, 30)).all()


@pytest.mark.parametrize("k", [2, 20])
def test_single_precision_rules_most_candidates_out_once_none_improves(k):
    X, _, w = nb.unique_colours(small_photo(20))
    D = euclidean(X)
    r = nb.kmedoids(D, k, weights=w, init="random", rng=0)
    labels, near, _, second = nb.two_nearest(nb.to_medoids(D, r.medoids))
    screen = nb.ProductScreen(D, w.astype(float), k)
    screen.renew(labels, near, second)
    assert len(screen.rows(0, len(D))) < 0.2 * len(D)


@given(dissimilarities(), seeds)
def test_kmedoids_weights_are_repeats(case, seed):
    D, k, w = case
    w = w - (np.arange(len(w)) % 4 == 3)  # some points occur no time at all
    keep, rng = np.flatnonzero(w), np.random.default_rng(seed)
    k = min(k, len(keep))
    many = np.repeat(np.arange(len(D)), w)
    first = np.searchsorted(many, np.arange(len(D)))
    start = rng.choice(keep, k, replace=False)
    for one, more in (("build", "build"), (start, first[start])):
        a = nb.kmedoids(D, k, weights=w, init=one)
        b = nb.kmedoids(D[np.ix_(many, many)], k, init=more)
        assert a.cost == pytest.approx(b.cost)
        if not isinstance(one, str):  # BUILD may take a repeat where nothing else gains
            np.testing.assert_array_equal(a.medoids, many[b.medoids])
            np.testing.assert_array_equal(np.repeat(a.labels, w), b.labels)
        np.testing.assert_allclose(a.history, b.history)


def test_repeats_of_a_point_do_not_change_the_cost_of_k_distinct_points():
    X = np.repeat([[0.0], [3.0], [10.0]], [5, 1, 3], axis=0)
    for init in ("build", "random"):
        assert nb.kmedoids(euclidean(X), 3, init=init, rng=1).cost == 0
    assert nb.kmedoids(euclidean(X), 9).cost == 0  # as many medoids as points
    assert nb.kmedoids(euclidean(X), 1).cost == 3 + 30


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("k", [1, 2, 3])
@pytest.mark.parametrize("symmetric", [True, False])
def test_kmedoids_reaches_the_optimum_of_eight_points(seed, k, symmetric):
    rng = np.random.default_rng(seed)
    D = euclidean(rng.standard_normal((8, 2))) if symmetric else rng.random((8, 8))
    sets = [list(c) for c in combinations(range(8), k)]
    ends = [nb.kmedoids(D, k, init=c).cost for c in sets]
    assert min(ends) == pytest.approx(min(D[c].min(axis=0).sum() for c in sets))


def test_rows_are_candidates():
    D = np.array([[9.0, 9, 9], [0, 0, 0], [9, 9, 9]])  # candidate 1 serves everybody for nothing
    assert nb.kmedoids(D, 1).medoids.tolist() == [1]
    assert nb.kmedoids(D.T, 1).cost == 18


@given(dissimilarities(), seeds, st.integers(-3, 3))
def test_kmedoids_permutation_and_scaling(case, seed, power):
    D, k, w = case
    D = D + np.random.default_rng(0).random(D.shape)  # no ties
    rng = np.random.default_rng(seed)
    order, start = rng.permutation(len(D)), rng.choice(len(D), k, replace=False)
    r = nb.kmedoids(D, k, weights=w, init=start)
    scaled = nb.kmedoids(D * 2.0**power, k, weights=w, init=start)
    np.testing.assert_array_equal(scaled.medoids, r.medoids)
    P = D[np.ix_(order, order)]
    greedy, moved = nb.build(D, w, k), order[nb.build(P, w[order], k)]
    assert nb.cost_of(D, w, moved) == pytest.approx(nb.cost_of(D, w, greedy))
    moved = nb.kmedoids(P, k, weights=w[order], init=np.argsort(order)[r.medoids])
    assert moved.n_swaps == 0  # a local optimum stays one under any order


@given(dissimilarities(), st.integers(1, 12))
def test_build_by_differences_is_plain_build(case, k):
    D, _, w = case
    k = min(k, len(D))
    np.testing.assert_array_equal(nb.build(D, w, k), nb.build_plain(D, w, k))


@pytest.mark.parametrize("k", [1, 20, 24, 25, 40])
def test_many_medoids_take_the_plain_swaps_too(k):
    rng = np.random.default_rng(k)
    D, w = rng.random((70, 70)), rng.integers(0, 4, 70)
    start = rng.choice(np.flatnonzero(w), k, replace=False)
    medoids, history = nb.swaps_plain(D, w, start)
    r = nb.kmedoids(D, k, weights=w, init=start)
    np.testing.assert_array_equal(r.medoids, medoids)
    np.testing.assert_allclose(r.history, history)
    assert r.converged


def test_build_is_greedy():
    rng = np.random.default_rng(3)
    D, w = rng.random((20, 20)), rng.integers(1, 4, 20)
    chosen = []
    for _ in range(6):
        costs = [nb.cost_of(D, w, [*chosen, c]) for c in range(20)]
        chosen.append(int(np.argmin(costs)))
    assert nb.build(D, w, 6).tolist() == chosen


@given(dissimilarities(), seeds)
def test_alternating_never_rises_and_its_medoids_are_best_in_their_clusters(case, seed):
    D, k, w = case
    np.fill_diagonal(D, 0)
    r = nb.kmedoids_alternating(D, k, weights=w, init="random", rng=seed)
    assert r.converged
    assert (np.diff(r.history) <= 0).all()
    assert r.cost == pytest.approx(nb.cost_of(D, w, r.medoids))
    for j, m in enumerate(r.medoids):
        i = np.flatnonzero(r.labels == j)
        if i.size:
            assert D[m, i] @ w[i] <= (D[np.ix_(i, i)] @ w[i]).min() + 1e-9


def test_swaps_beat_alternating_on_a_photo():
    X, _, w = nb.unique_colours(small_photo(24))
    D = euclidean(X)
    starts = [np.random.default_rng(s).choice(len(X), 6, replace=False) for s in range(8)]
    swaps = [nb.kmedoids(D, 6, weights=w, init=m).cost for m in starts]
    older = [nb.kmedoids_alternating(D, 6, weights=w, init=m).cost for m in starts]
    assert np.mean(swaps) < np.mean(older)


@pytest.mark.parametrize("k", [3, 12])
def test_large_matrix_is_a_local_optimum(k):
    X, _, w = nb.unique_colours(small_photo(20))
    D = euclidean(X)
    r = nb.kmedoids(D, k, weights=w, init="random", rng=0)
    others = np.setdiff1d(np.arange(len(D)), r.medoids)
    for j in range(k):
        rest = np.delete(D[r.medoids], j, axis=0).min(axis=0)
        assert (np.minimum(D[others], rest) @ w).min() >= r.cost * (1 - 1e-9)
    same = nb.kmedoids(D, k, weights=w, init="random", rng=0)
    np.testing.assert_array_equal(same.medoids, r.medoids)


@pytest.mark.parametrize("method", [nb.kmedoids, nb.kmedoids_alternating])
@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("D", {"D": np.zeros((3, 4))}),
        ("D", {"D": np.zeros(9)}),
        ("D", {"D": np.zeros((0, 0))}),
        ("D", {"D": np.full((3, 3), np.nan)}),
        ("D", {"D": np.full((3, 3), np.inf)}),
        ("D", {"D": -np.ones((3, 3))}),
        ("D", {"D": [[0, 1], [1]]}),
        ("k", {"k": 0}),
        ("k", {"k": 4}),
        ("k", {"k": 1.0}),
        ("k", {"k": False}),
        ("k", {"weights": [1, 0, 0]}),
        ("weights", {"weights": [1, 2]}),
        ("weights", {"weights": [1, 2, -1]}),
        ("weights", {"weights": [0, 0, 0]}),
        ("init", {"init": "k-means++"}),
        ("init", {"init": [0]}),
        ("init", {"init": [0, 0]}),
        ("init", {"init": [0, 3]}),
        ("init", {"init": [0, -1]}),
        ("init", {"init": [0, 1.5]}),
        ("init", {"init": None}),
        ("rng", {"rng": 0.5}),
        ("max_iter", {"max_iter": 0}),
    ],
)
def test_kmedoids_bad_arguments(method, name, arguments):
    with pytest.raises(ValueError, match=name):
        method(**{"D": 1 - np.eye(3), "k": 2} | arguments)


# CLARA, starts on a sample, painting -------------------------------------------------------------


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


# How many clusters -------------------------------------------------------------------------------


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


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("D", {"D": np.zeros((3, 3))}),
        ("D", {"D": np.full((4, 4), np.nan)}),
        ("labels", {"labels": [0, 0, 0, 0]}),
        ("labels", {"labels": [0, 0, 2, 2]}),
        ("weights", {"weights": [1]}),
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


# Colour and position -----------------------------------------------------------------------------


def test_cielab_of_known_colours_and_back():
    known = {
        (255, 255, 255): (100, 0, 0),
        (0, 0, 0): (0, 0, 0),
        (255, 0, 0): (53.24, 80.09, 67.20),
        (0, 255, 0): (87.73, -86.18, 83.18),
        (0, 0, 255): (32.30, 79.19, -107.86),
        (128, 128, 128): (53.59, 0, 0),
    }
    for rgb, lab in known.items():
        np.testing.assert_allclose(nb.rgb_to_lab(rgb), lab, atol=0.02)
    grid = np.stack(np.meshgrid(*[np.arange(0, 256, 15)] * 3), axis=-1)
    np.testing.assert_allclose(nb.lab_to_rgb(nb.rgb_to_lab(grid)), grid, atol=1e-3)
    out_of_reach = nb.lab_to_rgb([[50.0, 200, 200], [120, 0, 0], [-5, 0, 0]])
    assert ((out_of_reach >= 0) & (out_of_reach <= 255)).all()


def test_features_and_boundaries():
    image = np.zeros((3, 5, 3), np.uint8)
    F = nb.pixel_features(image, 10.0)
    assert F.shape == (15, 5)
    np.testing.assert_allclose(F[-1], [0, 0, 0, 2 * 10 / 5, 4 * 10 / 5], atol=1e-12)
    labels = np.array([[0, 0, 1], [0, 0, 1], [2, 2, 2]])
    assert nb.boundaries(labels).tolist() == [[0, 1, 0], [1, 1, 1], [0, 0, 0]]
    assert not nb.boundaries(np.ones((4, 1), int)).any()
