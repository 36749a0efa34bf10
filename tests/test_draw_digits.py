"""The digits that stand in for MNIST look as its digits do, and ship as they are drawn."""

import numpy as np
import pytest

from common.digits import STROKES, mnist_pair
from tools.draw_digits import draw, stroke_digits

RNG = np.random.default_rng(0)


def test_what_ships_is_what_is_drawn():
    drawn = draw()
    with np.load(STROKES, allow_pickle=False) as file:
        assert set(file) == set(drawn)
        for name, array in drawn.items():
            assert file[name].dtype == array.dtype
            # Another processor may round a grey level the other way.
            np.testing.assert_allclose(file[name].astype(int), array, rtol=0, atol=1)
    read = mnist_pair(source="strokes")
    assert read.train_images.shape == drawn["train_images"].shape
    assert read.train_labels.dtype == read.test_labels.dtype == np.int64


def test_stroke_digits_have_mnists_format():
    images, labels = stroke_digits(2_000, np.random.default_rng(3))
    assert images.dtype == np.uint8
    assert images.shape == (2_000, 28, 28)
    assert set(labels) == {1, 7}
    assert abs((labels == 7).mean() - 0.5) < 0.05
    ink = images.astype(float)
    for axis in (1, 2):
        profile = ink.sum(axis=axis)
        centre = profile @ np.arange(28) / profile.sum(axis=1)
        assert np.abs(centre - 13.5).max() < 1  # centred by mass
    tall = np.array([np.ptp(np.nonzero(image.max(axis=1) > 32)[0]) + 1 for image in images])
    wide = np.array([np.ptp(np.nonzero(image.max(axis=0) > 32)[0]) + 1 for image in images])
    longest = np.maximum(tall, wide)
    assert np.median(longest) == 20
    assert longest.max() <= 22
    assert (ink.reshape(2_000, -1).max(axis=1) > 180).mean() > 0.99  # ink is white
    assert ((ink > 20) & (ink < 235)).any(axis=(1, 2)).all()  # edges are anti-aliased


def test_stroke_digits_depend_on_the_generator_alone():
    a = stroke_digits(700, np.random.default_rng(5))
    b = stroke_digits(700, np.random.default_rng(5))
    c = stroke_digits(700, np.random.default_rng(6))
    assert (a[0] == b[0]).all()
    assert (a[1] == b[1]).all()
    assert (a[0] != c[0]).any()
    assert len(np.unique(a[0].reshape(700, -1), axis=0)) == 700


@pytest.mark.parametrize("n", [0, -1, 2.5, "3", None, True])
def test_stroke_digits_refuse_bad_sizes(n):
    with pytest.raises(ValueError, match="n: expected"):
        stroke_digits(n, RNG)


@pytest.mark.parametrize("rng", [True, -1, 0.5, "0", np.random.RandomState(0)])
def test_what_is_no_generator_is_refused(rng):
    with pytest.raises(ValueError, match="rng: expected"):
        stroke_digits(20, rng)


def test_one_stroke_digit_can_be_drawn():
    images, labels = stroke_digits(1, RNG)
    assert images.shape == (1, 28, 28)
    assert labels.shape == (1,)
