"""Bad arguments of the clustering notebook's functions are refused by name."""

import numpy as np
import pandas as pd
import pytest
from bad_arguments import (
    AXES,
    BAD_INTEGERS,
    BAD_RNG,
    GOOD_SEEDS,
    IDS,
    KINDS,
    REAL,
    cases,
    refuses,
    same,
)
from clustering_cases import nb

X = np.array([[1, 2], [3, 5], [8, 1], [2, 2], [5, 7], [4, 9]])
W, K = np.array([1, 2, 1, 3, 1, 1]), {"k": 2, "rng": 0}
D = np.abs(X[:, :1] - X[:, 0]) + np.abs(X[:, 1:] - X[:, 1])
LABELS = np.array([0, 0, 1] * 2)
GREY = np.array([[0, 0, 1], [1, 2, 2]])
BYTES = GREY.astype(np.uint8)
IMAGE = np.repeat(40 * GREY[..., None], 3, axis=2).astype(np.uint8)
START = "k-means++"
WEIGHTED = ["X", "weights"]
REALS = {
    "kmeans": (nb.kmeans, {"X": X, "weights": W, "init": X[:2]} | K, [*WEIGHTED, "init"]),
    "kmedoids": (nb.kmedoids, {"D": D, "weights": W, "init": W[:2]} | K, ["D", "weights", "init"]),
    "kmedoids_alternating": (nb.kmedoids_alternating, {"D": D, "weights": W} | K, ["D", "weights"]),
    "clara": (nb.clara, {"X": X, "weights": W} | K, WEIGHTED),
    "silhouette": (nb.silhouette, {"D": D, "labels": LABELS, "weights": W}, ["D", "weights"]),
    "gap_statistic": (nb.gap_statistic, {"X": X, "k_max": 2, "rng": 0}, ["X"]),
    "kmeans_of_starts": (nb.kmeans_of_starts, {"X": X, "weights": W} | K, WEIGHTED),
    "palettes": (nb.palettes, {"X": X, "k_max": 2, "weights": W, "rng": 0}, WEIGHTED),
    "paint": (nb.paint, {"X": X, "inverse": GREY, "centres": X[:3]}, ["X", "centres"]),
    "starting_centroids": (nb.starting_centroids, K | {"X": X, "w": W, "init": START}, ["X", "w"]),
    "lower_bound": (nb.lower_bound, {"D": D, "medoids": W[:2], "weights": W}, ["D", "weights"]),
    "dither": (nb.dither, {"image": IMAGE, "palette": IMAGE[0]}, ["palette"]),
}  # fmt: skip
FREE = {  # any number of axes will do
    "psnr": (nb.psnr, {"image": BYTES, "other": BYTES + 1}, ["image", "other"]),
    "rgb_to_lab": (nb.rgb_to_lab, {"rgb": GREY}, ["rgb"]),
    "lab_to_rgb": (nb.lab_to_rgb, {"lab": GREY}, ["lab"]),
}
MAPS = {
    "boundaries": (nb.boundaries, {"labels": GREY}, ["labels"]),
    "boundary_recall": (nb.boundary_recall, {"labels": GREY, "mask": GREY}, ["labels", "mask"]),
    "adjusted_rand": (nb.adjusted_rand, {"labels": W, "others": W}, ["labels", "others"]),
    "connected": (nb.connected, {"labels": GREY}, ["labels"]),
    "merge_small": (nb.merge_small, {"labels": GREY, "least": 2}, ["labels"]),
}
WHOLE = {
    "silhouette": (nb.silhouette, {"D": D, "labels": LABELS}, ["labels"]),
    "paint": (nb.paint, {"X": X, "inverse": GREY, "centres": X[:3]}, ["inverse"]),
    "lower_bound": (nb.lower_bound, {"D": D, "medoids": W[:2]}, ["medoids"]),
}
IMAGES = [
    np.ma.masked_array(IMAGE.astype(np.uint8)),
    IMAGE > 0,
    IMAGE.astype(object),
    IMAGE.astype(str),
    IMAGE + 0j,
    [[[1.0]], [[1.0, 2.0]]],
    IMAGE[..., 0],
    None,
]
RANDOM = {
    "kmeans": lambda rng: nb.kmeans(X, 2, rng=rng),
    "starting_centroids": lambda rng: nb.starting_centroids(X, W, 2, "k-means++", rng),
    "kmedoids": lambda rng: nb.kmedoids(D, 2, init="random", rng=rng),
    "kmedoids_alternating": lambda rng: nb.kmedoids_alternating(D, 2, init="random", rng=rng),
    "clara": lambda rng: nb.clara(X, 2, rng=rng),
    "gap_statistic": lambda rng: nb.gap_statistic(X, 2, rng=rng),
    "kmeans_of_starts": lambda rng: nb.kmeans_of_starts(X, 2, rng=rng),
    "palettes": lambda rng: nb.palettes(X, 2, rng=rng),
}
COUNTED = {
    "k": [nb.kmeans, nb.clara, nb.kmeans_of_starts],
    "k_max": [nb.gap_statistic, nb.palettes],
    "max_iter": [nb.kmeans],
    "n_samples": [nb.clara],
    "size": [nb.clara, nb.kmeans_of_starts],
    "n_refs": [nb.gap_statistic],
    "n_starts": [nb.kmeans_of_starts],
    "n_finals": [nb.kmeans_of_starts],
    "n_tries": [nb.palettes],
}


@cases(REALS, KINDS | AXES | REAL)
def test_every_kind_of_bad_array_is_named_with_the_way_out(function, good, name, kind):
    bad, message = kind(good[name])
    if name == "D":  # where a gap and what is infinitely far have a meaning of their own
        ways = {"sparse coo_array": "sparse.csgraph.shortest_path", "got inf": "not connected"}
        message = next((way for kind, way in ways.items() if message.startswith(kind)), message)
    if name == "weights" and bad is None:  # no weights are weights of one
        assert same(function(**good | {name: bad}), function(**good | {name: np.ones(6)}))
        return
    refuses(name, lambda: function(**good | {name: bad}), message)


@cases(FREE, KINDS | REAL)
def test_every_kind_of_bad_colours_is_named_with_the_way_out(function, good, name, kind):
    bad, message = kind(good[name])
    if function is nb.psnr and " at [" in message:  # bytes are finite
        message = "got float64"
    refuses(name, lambda: function(**good | {name: bad}), message)


@cases(WHOLE, KINDS | AXES | IDS)
def test_every_kind_of_bad_numbering_is_named_with_the_way_out(function, good, name, kind):
    bad, message = kind(good[name])
    refuses(name, lambda: function(**good | {name: bad}), message)


@cases(MAPS, KINDS | AXES)
def test_every_kind_of_bad_map_is_named_with_the_way_out(function, good, name, kind):
    bad, message = kind(good[name])
    refuses(name, lambda: function(**good | {name: bad}), message)


@pytest.mark.parametrize("image", IMAGES, ids=[str(i) for i in range(len(IMAGES))])
def test_every_kind_of_bad_image_is_named(image):
    refuses("image", lambda: nb.unique_colours(image))
    refuses("image", lambda: nb.pixel_features(image, 1))
    refuses("image", lambda: nb.dither(image, IMAGE[0]))


def test_a_mask_of_an_image_is_not_dropped():
    refuses("image", lambda: nb.unique_colours(IMAGES[0]), ".filled()")
    refuses("image", lambda: nb.psnr(IMAGES[0], IMAGE), ".filled()")


@pytest.mark.parametrize("label", [*REALS, *WHOLE])
def test_lists_tables_and_columns_of_numbers_do_as_arrays(label):
    function, good, names = (REALS | WHOLE)[label]
    lists = {name: good[name].tolist() for name in names}
    frames = {n: (pd.DataFrame if good[n].ndim == 2 else pd.Series)(good[n]) for n in names}
    assert same(function(**good | lists), function(**good))
    assert same(function(**good | frames), function(**good))


def test_wrong_lengths_say_both():
    for function in (nb.kmeans, nb.clara, nb.kmeans_of_starts):
        refuses("weights", lambda f=function: f(X, 2, weights=W[:5]), "6 values", "points, got 5")
    refuses("labels", lambda: nb.silhouette(D, [0, 1]), "6 values, as many as rows of D, got 2")
    refuses("other", lambda: nb.psnr(IMAGE, IMAGE[:1]), "uint8 (2, 3, 3)", "got uint8 (1, 3, 3)")
    refuses("D", lambda: nb.silhouette(D[:4], [0, 0, 1, 1]), "square", "(4, 6)")
    refuses("D", lambda: nb.lower_bound(D[:4], [0, 1]), "square", "(4, 6)")
    refuses("w", lambda: nb.starting_centroids(X, W[:5], 2, "random", 0), "6 values", "got 5")
    refuses("mask", lambda: nb.boundary_recall(GREY, GREY[:1]), "shape (2, 3)", "got (1, 3)")
    refuses("others", lambda: nb.adjusted_rand(W, W[:5]), "6 values", "labels, got 5")
    refuses("centres", lambda: nb.paint(X, GREY, IMAGE[0]), "2 columns, as in X, got 3")
    refuses("lab", lambda: nb.lab_to_rgb(5), "L, a, b on the last axis, got shape ()")
    refuses("lab", lambda: nb.lab_to_rgb(GREY[:, :1]), "L, a, b on the last axis")
    refuses("palette", lambda: nb.dither(IMAGE, X), "(k, 3)", "shape (6, 2)")
    refuses("palette", lambda: nb.dither(IMAGE, np.zeros((257, 3))), "at most 256")
    refuses("weights", lambda: nb.kmeans(X, 2, weights=W[:, None]), "use .ravel()")


@pytest.mark.parametrize("function", RANDOM)
@pytest.mark.parametrize("rng", BAD_RNG)
def test_what_is_no_generator_is_refused(function, rng):
    refuses("rng", lambda: RANDOM[function](rng))


@pytest.mark.parametrize("function", RANDOM)
@pytest.mark.parametrize("seed", GOOD_SEEDS)
def test_a_seed_does_as_its_generator(function, seed):
    assert same(RANDOM[function](seed), RANDOM[function](np.random.default_rng(3)))


@pytest.mark.parametrize("name", COUNTED)
@pytest.mark.parametrize("value", BAD_INTEGERS)
def test_what_is_no_count_is_refused(name, value):
    for function in COUNTED[name]:
        good = {"k_max": 2} if function in (nb.gap_statistic, nb.palettes) else {"k": 2}
        refuses(name, lambda f=function, g=good: f(X, **g | {name: value}))


@pytest.mark.parametrize("init", ["build", "K-means++", None, 3, X[:2]])
def test_a_start_of_no_known_kind_is_refused(init):
    refuses("init", lambda: nb.starting_centroids(X, W, 2, init, 0), '"k-means++" or "random"')


@pytest.mark.parametrize("value", BAD_INTEGERS)
def test_a_start_of_no_count_and_a_reach_of_none_are_refused(value):
    refuses("k", lambda: nb.starting_centroids(X, W, value, "random", 0))
    if type(value) is not int or value != 0:
        refuses("reach", lambda: nb.boundary_recall(GREY, GREY, value))


def test_a_sample_too_large_to_be_drawn_is_refused():
    for function in (nb.clara, nb.kmeans_of_starts):
        refuses("size", lambda f=function: f(X, 2, size=2**63), "to 1000000000")


def test_a_small_integer_of_numpy_does_not_overflow():
    many = np.arange(600.0)[:, None]  # twenty times k would not fit into eight bits
    assert same(nb.kmeans(many, np.uint8(16), rng=0), nb.kmeans(many, 16, rng=0))
    assert same(nb.palettes(many, np.uint8(13), rng=0), nb.palettes(many, 13, rng=0))
