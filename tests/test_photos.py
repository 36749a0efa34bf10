"""A photo is what its owner sees, or an error that names the file."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from common import photos

RNG = np.random.default_rng(0)


def save(path: Path, array: np.ndarray, mode: str | None = None, **options) -> Path:
    image = Image.fromarray(array)
    (image.convert(mode) if mode else image).save(path, **options)
    return path


COLOUR = np.zeros((4, 6, 3), np.uint8) + np.array([200, 100, 50], np.uint8)


def test_the_default_photo_is_there_without_a_download():
    image = photos.photo()
    assert image.dtype == np.uint8
    assert image.ndim == 3
    assert image.shape[2] == 3
    assert len(np.unique(image.reshape(-1, 3), axis=0)) > 1_000


@pytest.mark.parametrize(
    ("mode", "suffix", "tolerance"),
    [
        ("RGB", "png", 0),
        ("P", "png", 30),
        ("RGBA", "png", 0),
        ("CMYK", "tif", 2),
    ],
)
def test_photo_reads_any_mode(tmp_path, mode, suffix, tolerance):
    image = photos.photo(save(tmp_path / f"x.{suffix}", COLOUR, mode))
    assert image.shape == (4, 6, 3)
    assert np.abs(image.astype(int) - COLOUR).max() <= tolerance


@pytest.mark.parametrize("mode", ["1", "L", "LA", "I;16", "I", "F"])
def test_photo_reads_grey_of_any_depth(tmp_path, mode):
    grey = np.array([[0, 255], [255, 0]], np.uint8)
    if mode == "I;16":
        path = save(tmp_path / "x.png", grey.astype(np.uint16) * 257)
    else:
        path = save(tmp_path / "x.tif", grey, mode)
    assert (photos.photo(path) == grey[:, :, None]).all()


def test_sixteen_bits_keep_their_shades(tmp_path):
    ramp = np.arange(0, 65536, 257, dtype=np.uint16).reshape(16, 16)
    image = photos.photo(save(tmp_path / "x.png", ramp))
    assert (image[..., 0] == np.arange(256).reshape(16, 16)).all()


def test_transparency_is_laid_over_white(tmp_path):
    rgba = np.zeros((1, 3, 4), np.uint8)
    rgba[0, :, 3] = [0, 128, 255]  # black: absent, half, whole
    image = photos.photo(save(tmp_path / "x.png", rgba))
    assert image[0, :, 0].tolist() == [255, 127, 0]


def test_sixteen_bits_with_a_transparent_value_are_laid_over_white(tmp_path):
    grey = np.array([[0, 257, 65535]], np.uint16)
    image = photos.photo(save(tmp_path / "x.png", grey, transparency=257))
    assert image[0, :, 0].tolist() == [0, 255, 255]


@pytest.mark.parametrize(
    ("values", "expected"),
    [([0.0, 0.5, 1.0], [0, 128, 255]), ([-2.0, 0.0, 2.0], [0, 128, 255]), ([1e6] * 3, [0] * 3)],
)
def test_floats_are_scaled_by_their_range(tmp_path, values, expected):
    image = photos.photo(save(tmp_path / "x.tif", np.array([values], np.float32)))
    assert image[0, :, 0].tolist() == expected


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_floats_that_are_not_finite_are_refused_by_name(tmp_path, value):
    path = save(tmp_path / "bad.tif", np.array([[0.5, value]], np.float32))
    with pytest.raises(ValueError, match=r"bad\.tif cannot be decoded \(it holds NaN"):
        photos.photo(path)


def test_a_broken_header_is_refused_by_name(tmp_path):
    path = save(tmp_path / "cut.png", COLOUR)
    content = bytearray(path.read_bytes())
    content[11] = 5  # the length of the header chunk
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"cut\.png"):
        photos.photo(path)


def test_transparent_palette_is_laid_over_white(tmp_path):
    palette = Image.fromarray(COLOUR).convert("P")
    palette.save(tmp_path / "x.png", transparency=palette.getpixel((0, 0)))
    assert (photos.photo(tmp_path / "x.png") == 255).all()


def test_exif_turns_the_photo_upright(tmp_path):
    image = Image.fromarray(COLOUR)
    exif = image.getexif()
    exif[0x0112] = 6  # turned by 90°
    image.save(tmp_path / "x.jpg", exif=exif)
    assert photos.photo(tmp_path / "x.jpg").shape == (6, 4, 3)


def test_an_animation_gives_its_first_frame(tmp_path):
    frames = [Image.new("RGB", (3, 2), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / "x.gif", save_all=True, append_images=frames[1:])
    assert photos.photo(tmp_path / "x.gif")[0, 0].tolist() == [255, 0, 0]


def test_one_pixel_is_a_photo(tmp_path):
    assert photos.photo(save(tmp_path / "x.png", COLOUR[:1, :1])).tolist() == [[[200, 100, 50]]]


@pytest.mark.parametrize(
    ("content", "why"),
    [(b"", "is empty"), (b"not a picture at all", "not an image")],
)
def test_photo_says_which_file_is_bad_and_why(tmp_path, content, why):
    path = tmp_path / "bad.png"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=why) as error:
        photos.photo(path)
    assert "bad.png" in str(error.value)


@pytest.mark.parametrize("suffix", ["png", "jpg", "gif"])
def test_a_truncated_photo_is_refused(tmp_path, suffix):
    noise = np.random.default_rng(1).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    path = save(tmp_path / f"cut.{suffix}", noise)
    path.write_bytes(path.read_bytes()[:800])
    with pytest.raises(ValueError, match=r"cut\..*(cannot be decoded|not an image)"):
        photos.photo(path)


@pytest.mark.parametrize(("width", "height"), [(10_000, 5_001), (20_000, 20_000)])
def test_too_many_pixels_are_refused_before_decoding(tmp_path, width, height):
    path = tmp_path / "large.png"
    Image.new("1", (width, height)).save(path)
    with pytest.raises(ValueError, match=r"large\.png has .*pixels"):
        photos.photo(path)


def test_a_missing_photo_and_a_folder_are_told_apart(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        photos.photo(tmp_path / "nowhere.png")
    with pytest.raises(ValueError, match="folder"):
        photos.photo(tmp_path)
