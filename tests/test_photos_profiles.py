"""Embedded colour profiles are converted to sRGB; these here are written byte by byte."""

import io
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from common import photos

D50 = np.array([0.9642, 1.0, 0.8249])
D65 = np.array([0.95047, 1.0, 1.08883])
BRADFORD = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)
REC709 = [(0.64, 0.33), (0.30, 0.60), (0.15, 0.06)]
# Primaries (x, y), white, and the exponent by which a sample becomes light; None is sRGB's curve.
SPACES = {
    "sRGB": (REC709, D65, None),
    "Display P3": ([(0.680, 0.320), (0.265, 0.690), (0.150, 0.060)], D65, None),
    "Adobe RGB": ([(0.64, 0.33), (0.21, 0.71), (0.15, 0.06)], D65, 563 / 256),
    "Generic RGB": ([(0.63, 0.34), (0.295, 0.605), (0.155, 0.077)], D65, 1.8),
    "ProPhoto": ([(0.7347, 0.2653), (0.1596, 0.8404), (0.0366, 0.0001)], D50, 1.8),
}


def to_xyz(primaries, white):
    """Return the matrix from light in a space to XYZ seen under D50, as profiles have it."""
    columns = np.array([[x / y, 1, (1 - x - y) / y] for x, y in primaries]).T
    matrix = columns * np.linalg.solve(columns, white)
    adapted = np.linalg.solve(BRADFORD, np.diag(BRADFORD @ D50 / (BRADFORD @ white)) @ BRADFORD)
    return adapted @ matrix


def to_light(samples, exponent):
    samples = np.asarray(samples) / 255
    if exponent is not None:
        return samples**exponent
    return np.where(samples <= 0.04045, samples / 12.92, ((samples + 0.055) / 1.055) ** 2.4)


def to_srgb(xyz):
    """Return 8-bit sRGB of XYZ under D50: what the photo should show."""
    light = np.clip(xyz @ np.linalg.inv(to_xyz(REC709, D65)).T, 0, 1)
    curve = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return 255 * curve


def fixed(*values):
    return struct.pack(f">{len(values)}i", *(round(value * 65536) for value in values))


def profile(space: bytes, pcs: bytes, kind: bytes, tags: dict[bytes, bytes]) -> bytes:
    """Write an ICC profile, version 2.4."""
    tags = {
        b"desc": b"desc\0\0\0\0" + struct.pack(">I", 2) + b"x\0" + bytes(78),
        b"cprt": b"text\0\0\0\0none\0",
        b"wtpt": b"XYZ \0\0\0\0" + fixed(*D50),
    } | tags
    table, body, start = struct.pack(">I", len(tags)), b"", 128 + 4 + 12 * len(tags)
    for name, content in tags.items():
        content += bytes(-len(content) % 4)
        table += name + struct.pack(">II", start + len(body), len(content))
        body += content
    head = struct.pack(">I4sI4s4s4s", start + len(body), b"\0\0\0\0", 0x02400000, kind, space, pcs)
    head += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + fixed(*D50)
    return head + bytes(128 - len(head)) + table + body


def curve(exponent) -> bytes:
    if exponent is not None:
        return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(exponent * 256))
    table = np.round(65535 * to_light(np.linspace(0, 255, 1024), None)).astype(">u2")
    return b"curv\0\0\0\0" + struct.pack(">I", len(table)) + table.tobytes()


def rgb_profile(name: str) -> bytes:
    primaries, white, exponent = SPACES[name]
    tags = {letter + b"TRC": curve(exponent) for letter in (b"r", b"g", b"b")}
    columns = zip((b"r", b"g", b"b"), to_xyz(primaries, white).T, strict=True)
    tags |= {letter + b"XYZ": b"XYZ \0\0\0\0" + fixed(*column) for letter, column in columns}
    return profile(b"RGB ", b"XYZ ", b"mntr", tags)


def grey_profile(exponent) -> bytes:
    return profile(b"GRAY", b"XYZ ", b"mntr", {b"kTRC": curve(exponent)})


def cmyk_profile() -> bytes:
    """Write a press whose inks are those of CORNERS, and black where more than one is printed."""
    inks = np.zeros((2, 2, 2, 2, 3), np.uint8) + np.array([0, 128, 128], np.uint8)
    for ink, (lightness, a, b) in CORNERS.items():
        inks[ink] = round(lightness * 2.55), a + 128, b + 128
    ramp = bytes(range(256))
    lut = b"mft1\0\0\0\0" + bytes([4, 3, 2, 0]) + fixed(1, 0, 0, 0, 1, 0, 0, 0, 1)
    return profile(b"CMYK", b"Lab ", b"prtr", {b"A2B0": lut + ramp * 4 + inks.tobytes() + ramp * 3})


CORNERS = {  # CIELAB of paper, cyan, magenta and yellow
    (0, 0, 0, 0): (100, 0, 0),
    (1, 0, 0, 0): (60, -20, -30),
    (0, 1, 0, 0): (50, 40, 0),
    (0, 0, 1, 0): (90, 0, 50),
}


def shown(path, colours, mode="RGB", profile=b"", **options):
    """Return the photo of the colours (k, channels), each a pixel, that has this profile."""
    pixels = np.array([colours], np.uint8)
    image = Image.fromarray(pixels if mode != "L" else pixels[..., 0])
    image = image if image.mode == mode else Image.frombytes(mode, (len(colours), 1), pixels)
    image.save(path, icc_profile=profile, **options)
    return photos.photo(path)[0].astype(int)


@pytest.mark.parametrize("suffix", ["png", "tif", "webp"])
def test_the_red_of_srgb_written_in_display_p3_is_pure_red(tmp_path, suffix):
    options = {"lossless": True} if suffix == "webp" else {}
    path = tmp_path / f"x.{suffix}"
    colour = shown(path, [(234, 51, 35)], profile=rgb_profile("Display P3"), **options)
    assert np.abs(colour - [255, 0, 0]).max() <= 2


def test_a_jpeg_is_converted_too(tmp_path):
    colours = np.tile([180, 120, 80], (16, 1))
    converted = shown(tmp_path / "x.jpg", colours, profile=rgb_profile("Adobe RGB"), quality=100)
    expected = to_srgb(to_light(colours, 563 / 256) @ to_xyz(*SPACES["Adobe RGB"][:2]).T)
    assert np.abs(converted - expected).max() <= 4
    assert np.abs(expected - colours).max() > 10


@pytest.mark.parametrize("name", SPACES)
@given(colours=st.lists(st.tuples(*[st.integers(0, 255)] * 3), min_size=1, max_size=9))
def test_colours_are_converted_as_the_profile_says(tmp_path_factory, name, colours):
    primaries, white, exponent = SPACES[name]
    expected = to_srgb(to_light(colours, exponent) @ to_xyz(primaries, white).T)
    path = tmp_path_factory.getbasetemp() / "x.png"
    converted = shown(path, colours, profile=rgb_profile(name))
    assert np.abs(converted - expected).max() <= 2


@pytest.mark.parametrize("name", SPACES)
def test_white_stays_white_and_black_stays_black(tmp_path, name):
    ends = shown(tmp_path / "x.png", [(0, 0, 0), (255, 255, 255)], profile=rgb_profile(name))
    assert ends.tolist() == [[0] * 3, [255] * 3]


def test_colours_in_srgb_stay_as_they_are(tmp_path):
    colours = np.random.default_rng(0).integers(0, 256, (500, 3))
    converted = shown(tmp_path / "x.png", colours, profile=rgb_profile("sRGB"))
    assert np.abs(converted - colours).max() <= 1


@pytest.mark.parametrize("exponent", [1.4, 1.8, 563 / 256])
def test_grey_is_converted_by_its_own_curve(tmp_path, exponent):
    greys = np.arange(256)[:, None]
    converted = shown(tmp_path / "x.png", greys, "L", grey_profile(exponent))
    expected = to_srgb((greys / 255) ** exponent * D50)
    assert np.abs(converted - expected).max() <= 2
    assert (converted == converted[:, :1]).all()


def test_sixteen_bits_of_grey_are_converted_too(tmp_path):
    pixels = np.arange(0, 65536, 257, dtype=np.uint16)[None]
    Image.fromarray(pixels).save(tmp_path / "x.tif", icc_profile=grey_profile(1.8))
    converted = photos.photo(tmp_path / "x.tif")[0]
    assert np.abs(converted - to_srgb((np.arange(256)[:, None] / 255) ** 1.8 * D50)).max() <= 2


def test_grey_under_a_profile_of_colours_is_converted_as_such(tmp_path):
    greys = np.arange(256)[:, None]
    converted = shown(tmp_path / "x.png", greys, "L", rgb_profile("Generic RGB"))
    expected = to_srgb((greys / 255) ** 1.8 * D50)
    assert np.abs(converted - expected).max() <= 2


def test_inks_are_converted_as_the_press_prints_them(tmp_path):
    inks = 255 * np.array(list(CORNERS))
    lightness, a, b = np.array(list(CORNERS.values())).T
    f = (lightness + 16) / 116 + np.stack([a / 500, 0 * a, -b / 200])
    expected = to_srgb(np.where(f > 6 / 29, f**3, 3 * (6 / 29) ** 2 * (f - 4 / 29)).T * D50)
    converted = shown(tmp_path / "x.tif", inks, "CMYK", cmyk_profile())
    assert np.abs(converted - expected).max() <= 3
    plain = shown(tmp_path / "x.tif", inks, "CMYK")
    assert np.abs(plain - expected).max() > 50


def test_a_lab_image_needs_no_profile(tmp_path):
    colours = shown(tmp_path / "x.tif", [(255, 0, 0), (0, 0, 0), (138, 81, 70)], "LAB")
    expected = [[255, 255, 255], [0, 0, 0], [255, 0, 0]]
    assert np.abs(colours - expected).max() <= 6  # steps of one in L, a and b


def test_a_palette_is_converted(tmp_path):
    image = Image.new("P", (1, 1))
    image.putpalette([234, 51, 35])
    image.save(tmp_path / "x.png", icc_profile=rgb_profile("Display P3"))
    assert np.abs(photos.photo(tmp_path / "x.png")[0, 0] - [255.0, 0, 0]).max() <= 2


LAYERS = [(255, [255, 0, 0]), (0, [255, 255, 255]), (51, [255, 204, 204])]


@pytest.mark.parametrize(("alpha", "expected"), LAYERS)
def test_colours_are_converted_before_they_are_laid_over_white(tmp_path, alpha, expected):
    colours = [(234, 51, 35, alpha)]
    converted = shown(tmp_path / "x.png", colours, "RGBA", rgb_profile("Display P3"))
    assert np.abs(converted - expected).max() <= 2


MISFITS = [
    ("RGB", grey_profile(1.8)),
    ("RGB", cmyk_profile()),
    ("L", cmyk_profile()),
    ("CMYK", rgb_profile("Adobe RGB")),
    ("CMYK", grey_profile(1.8)),
]


@pytest.mark.parametrize(("mode", "profile"), MISFITS)
def test_a_profile_of_another_kind_of_image_is_left_out(tmp_path, mode, profile):
    colours = np.random.default_rng(0).integers(0, 256, (9, {"RGB": 3, "L": 1, "CMYK": 4}[mode]))
    plain = shown(tmp_path / "x.tif", colours, mode)
    assert (shown(tmp_path / "x.tif", colours, mode, profile) == plain).all()


@given(st.data())
def test_a_broken_profile_never_costs_the_picture(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "x.png"
    good = data.draw(st.sampled_from([rgb_profile("Adobe RGB"), grey_profile(1.8), cmyk_profile()]))
    broken = bytearray(good[: data.draw(st.integers(1, len(good)))])
    for _ in range(data.draw(st.integers(0, 8))):
        place = data.draw(st.integers(0, min(len(broken), 400) - 1))
        broken[place] = data.draw(st.integers(0, 255))
    mode, channels = data.draw(st.sampled_from([("RGB", 3), ("L", 1), ("RGBA", 4)]))
    image = shown(path, np.full((2, channels), 100), mode, bytes(broken))
    assert image.shape == (2, 3)


@pytest.mark.parametrize("profile", [b"x", bytes(128), b"\xff" * 500, rgb_profile("sRGB")[:200]])
def test_without_a_profile_that_can_be_read_the_samples_stay(tmp_path, profile):
    assert shown(tmp_path / "x.png", [(234, 51, 35)], profile=profile).tolist() == [[234, 51, 35]]


def test_the_profile_of_a_photo_that_is_turned_upright_is_used(tmp_path):
    image, exif = Image.new("RGB", (2, 1), (234, 51, 35)), Image.Exif()
    exif[0x0112] = 8
    content = io.BytesIO()
    image.save(content, "PNG", exif=exif, icc_profile=rgb_profile("Display P3"))
    (tmp_path / "x.png").write_bytes(content.getvalue())
    converted = photos.photo(tmp_path / "x.png")
    assert converted.shape == (2, 1, 3)
    assert np.abs(converted - [255.0, 0, 0]).max() <= 2
