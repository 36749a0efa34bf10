"""K-medoids: build, swaps and their screens, against brute force."""

from itertools import combinations, product

import numpy as np
import pytest
from clustering_cases import euclidean, nb, seeds, small_photo
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import sparse


@st.composite
def dissimilarities(draw):
    n = draw(st.integers(1, 12))
    D = draw(arrays(np.float64, (n, n), elements=st.integers(0, 9)))
    np.fill_diagonal(D, 0)
    k = draw(st.integers(1, n))
    w = draw(arrays(np.int64, n, elements=st.integers(1, 3)))
    return D, k, w


def without_own(D):
    """D with zeros on its diagonal."""
    return D * (1 - np.eye(len(D)))


def best_swap(D, w, medoids):
    """Lowest cost after any single swap, from the definition."""
    others = [c for c in range(len(D)) if c not in medoids]
    trials = [[c, *np.delete(medoids, j)] for j in range(len(medoids)) for c in others]
    return min((nb.cost_of(D, w, t) for t in trials), default=np.inf)


def assert_every_medoid_is_in_its_own_cluster(D, r):
    np.testing.assert_array_equal(r.labels[r.medoids], np.arange(len(r.medoids)))
    nearest = D[r.medoids].min(axis=0)
    np.testing.assert_array_equal(D[r.medoids[r.labels], np.arange(len(D))], nearest)


@given(dissimilarities(), st.sampled_from(["build", "random"]), seeds)
def test_kmedoids_is_a_local_optimum_over_all_single_swaps(case, init, seed):
    D, k, w = case
    r = nb.kmedoids(D, k, weights=w, init=init, rng=seed)
    assert best_swap(D, w, r.medoids) >= r.cost - 1e-9
    assert len(set(r.medoids.tolist())) == k
    assert r.cost == pytest.approx(nb.cost_of(D, w, r.medoids))
    assert_every_medoid_is_in_its_own_cluster(D, r)
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


@pytest.mark.parametrize("method", [nb.kmedoids, nb.kmedoids_alternating])
def test_more_medoids_than_places_each_have_their_own_cluster(method):
    D = euclidean(np.array([[0.0], [0], [5], [9]]))
    for k in (3, 4):
        for init in ("build", "random", np.arange(k)):
            r = method(D, k, init=init, rng=0)
            assert sorted(set(r.labels.tolist())) == list(range(k))
            assert_every_medoid_is_in_its_own_cluster(D, r)
    r = method(D, 2, init=[0, 1])  # both at one place
    assert r.cost == 4
    assert_every_medoid_is_in_its_own_cluster(D, r)


def test_rounding_on_the_diagonal_is_dropped():
    D = euclidean(np.random.default_rng(0).random((20, 2)))
    noisy = D + np.diag(np.full(20, 1e-9))
    np.testing.assert_array_equal(nb.kmedoids(noisy, 3).medoids, nb.kmedoids(D, 3).medoids)
    assert nb.kmedoids(noisy, 20).cost == 0
    assert noisy.diagonal().all()  # the argument is left alone


@given(dissimilarities(), st.integers(1, 60))
def test_the_bound_is_below_every_choice_of_medoids_and_never_falls(case, n_iter):
    D, k, w = case
    k = min(k, 3)
    sets = [list(m) for m in combinations(range(len(D)), k)]
    best = min(nb.cost_of(D, w, m) for m in sets)
    bounds = nb.lower_bound(D, sets[-1], weights=w, n_iter=n_iter)
    assert (np.diff(bounds) >= 0).all()
    assert bounds[-1] <= best + 1e-9 * (1 + best)


def test_the_bound_of_more_medoids_than_points_is_zero():
    D = euclidean(np.arange(4.0)[:, None])
    for medoids in (np.arange(4), [0, 1, 2, 3, 0]):
        assert nb.lower_bound(D, medoids)[-1] == pytest.approx(0, abs=1e-12)


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
    D = euclidean(rng.standard_normal((8, 2))) if symmetric else without_own(rng.random((8, 8)))
    sets = [list(c) for c in combinations(range(8), k)]
    ends = [nb.kmedoids(D, k, init=c).cost for c in sets]
    assert min(ends) == pytest.approx(min(D[c].min(axis=0).sum() for c in sets))


def test_rows_are_candidates():
    D = np.array([[0.0, 9, 9], [0, 0, 0], [9, 9, 0]])  # candidate 1 serves everybody for nothing
    assert nb.kmedoids(D, 1).medoids.tolist() == [1]
    assert nb.kmedoids(D.T, 1).cost == 9


@given(dissimilarities(), seeds, st.integers(-3, 3))
def test_kmedoids_permutation_and_scaling(case, seed, power):
    D, k, w = case
    D = without_own(D + np.random.default_rng(0).random(D.shape))  # no ties
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
    D, w = without_own(rng.random((70, 70))), rng.integers(0, 4, 70)
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
    r = nb.kmedoids_alternating(D, k, weights=w, init="random", rng=seed)
    assert r.converged
    assert (np.diff(r.history) <= 0).all()
    assert r.cost == pytest.approx(nb.cost_of(D, w, r.medoids))
    for j, m in enumerate(r.medoids):
        i = np.flatnonzero(r.labels == j)
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
        ("D: .* square", {"D": np.zeros((3, 4))}),
        ("D: .*similarities", {"D": np.eye(3)}),
        ("D: .*diagonal", {"D": [[0, 1, 2], [1, 0.5, 1], [2, 1, 0]]}),
        ("D: .*inf: .*not connected", {"D": [[0, 1, np.inf], [1, 0, np.inf], [np.inf, np.inf, 0]]}),
        ("D: .*sparse.*shortest_path", {"D": sparse.csr_array(1 - np.eye(3))}),
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
        ('init: expected "build", "random" or 2 .*None', {"init": None}),
        ("rng", {"rng": 0.5}),
        ("max_iter", {"max_iter": 0}),
    ],
)
def test_kmedoids_bad_arguments(method, name, arguments):
    with pytest.raises(ValueError, match=name):
        method(**{"D": 1 - np.eye(3), "k": 2} | arguments)
