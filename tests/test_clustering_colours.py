"""Colours and positions of pixels, and what becomes of them."""

import numpy as np
import pytest
from clustering_cases import euclidean, nb, small_photo
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

# unique_colours --------------------------------------------------------------------------------


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


# Colour and position ---------------------------------------------------------------------------


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


@pytest.mark.parametrize(
    ("message", "rgb"),
    [
        ("multiply by 255", np.full((2, 3), 0.5)),
        ("multiply by 255", [[0.0, 1.0, 0.2]]),
        ("last axis", np.zeros((4, 4, 4), np.uint8)),
        ("last axis", 7),
        ("from 0 to 255", [[0, 0, 256]]),
        ("from 0 to 255", [[-1, 0, 0]]),
        ("from 0 to 255", [[np.nan, 0, 0]]),
    ],
)
def test_cielab_bad_arguments(message, rgb):
    with pytest.raises(ValueError, match=f"rgb: .*{message}"):
        nb.rgb_to_lab(rgb)


def test_cielab_of_nearly_black_colours():
    np.testing.assert_allclose(nb.rgb_to_lab([[1.0, 0, 1], [0, 0, 0]])[1], 0, atol=1e-9)


def test_features_and_boundaries():
    image = np.zeros((3, 5, 3), np.uint8)
    F = nb.pixel_features(image, 10.0)
    assert F.shape == (15, 5)
    np.testing.assert_allclose(F[-1], [0, 0, 0, 2 * 10 / 5, 4 * 10 / 5], atol=1e-12)
    labels = np.array([[0, 0, 1], [0, 0, 1], [2, 2, 2]])
    assert nb.boundaries(labels).tolist() == [[0, 1, 0], [1, 1, 1], [0, 0, 0]]
    assert not nb.boundaries(np.ones((4, 1), int)).any()


# Dithering -------------------------------------------------------------------------------------


def dithered_pixel_by_pixel(image, palette):
    """Floyd and Steinberg's diffusion of errors as it is told: row by row, left to right."""
    h, wide = image.shape[:2]
    passed_on, index, C = np.zeros((h + 1, wide + 2, 3)), np.zeros((h, wide), int), palette * 1.0
    for r, q in np.ndindex(h, wide):
        v = np.clip(image[r, q] + passed_on[r, q + 1] / 16, 0, 255)
        index[r, q] = ((v - C) ** 2).sum(axis=1).argmin()
        error = v - C[index[r, q]]
        passed_on[r, q + 2] += 7 * error
        passed_on[r + 1, q] += 3 * error
        passed_on[r + 1, q + 1] += 5 * error
        passed_on[r + 1, q + 2] += error
    return index


@pytest.mark.parametrize("shape", [(30, 40), (1, 1), (1, 30), (30, 1), (40, 2), (2, 40), (7, 3)])
@pytest.mark.parametrize("k", [1, 2, 9])
def test_dithering_in_waves_is_dithering_pixel_by_pixel(shape, k):
    rng = np.random.default_rng(k)
    image = rng.integers(0, 256, (*shape, 3)).astype(np.uint8)
    palette = rng.integers(0, 256, (k, 3)).astype(np.uint8)
    expected = dithered_pixel_by_pixel(image, palette)
    np.testing.assert_array_equal(nb.dither(image, palette), expected)


def test_dithering_keeps_the_mean_of_an_even_grey():
    palette = np.array([[0, 0, 0], [255, 255, 255]], np.uint8)
    for level in (1, 64, 100, 200):
        index = nb.dither(np.full((60, 80, 3), level, np.uint8), palette)
        assert 255 * index.mean() == pytest.approx(level, abs=5)
    ramp = np.repeat(np.tile(np.arange(0, 256, 2, dtype=np.uint8), (64, 1))[..., None], 3, axis=2)
    means = 255 * nb.dither(ramp, palette).reshape(64, 8, 16).mean(axis=(0, 2))
    np.testing.assert_allclose(means, ramp[..., 0].reshape(64, 8, 16).mean(axis=(0, 2)), atol=6)
