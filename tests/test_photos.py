"""A photo is what its owner sees, or an error that names the file."""

import io
import os
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms, ImageFile, ImageOps

from common import photos


def save(path: Path, array: np.ndarray, mode: str | None = None, **options) -> Path:
    image = Image.fromarray(array)
    (image.convert(mode) if mode else image).save(path, **options)
    return path


def tiff(path: Path, samples: bytes, width: int, bits: int, photometric: int, **more) -> Path:
    """Write one row of grey samples, little-endian: what Pillow itself cannot write."""
    tags = {256: width, 257: 1, 258: bits, 259: 1, 262: photometric, 273: 200, 277: 1, 278: 1}
    tags |= {279: len(samples), 339: 1} | {int(name[1:]): value for name, value in more.items()}
    rows = b"".join(struct.pack("<HHII", tag, 4, 1, tags[tag]) for tag in sorted(tags))
    head = b"II*\0" + struct.pack("<IH", 8, len(tags)) + rows + bytes(4)
    path.write_bytes(head + bytes(200 - len(head)) + samples)
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


def test_samples_of_twelve_bits_are_scaled_by_their_own_white(tmp_path):
    samples = bytes.fromhex("000800fffff0")  # 000, 800, fff and ff0
    image = photos.photo(tiff(tmp_path / "x.tif", samples, 4, 12, 1))
    assert image[0, :, 0].tolist() == [0, 128, 255, 254]


def test_samples_of_sixteen_bits_keep_their_white_where_the_photo_is_dark(tmp_path):
    image = photos.photo(save(tmp_path / "x.png", np.array([[0, 257, 4095]], np.uint16)))
    assert image[0, :, 0].tolist() == [0, 1, 16]


@pytest.mark.parametrize("order", ["<", ">"])
def test_sixteen_bits_are_read_in_either_byte_order(tmp_path, order):
    image = Image.fromarray(np.array([[0, 25700, 65535]], np.uint16))
    if order == ">":
        samples = np.asarray(image).astype(">u2").tobytes()
        image = Image.frombytes("I;16B", (3, 1), samples)
    image.save(tmp_path / "x.tif")
    assert photos.photo(tmp_path / "x.tif")[0, :, 0].tolist() == [0, 100, 255]


@pytest.mark.parametrize(("bits", "white"), [(8, 255), (16, 65535)])
def test_a_scan_whose_least_value_is_white_is_not_shown_as_a_negative(tmp_path, bits, white):
    samples = np.array([0, white // 5, white]).astype(f"<u{bits // 8}").tobytes()
    path = tmp_path / "x.tif"
    assert photos.photo(tiff(path, samples, 3, bits, 1))[0, :, 0].tolist() == [0, 51, 255]
    assert photos.photo(tiff(path, samples, 3, bits, 0))[0, :, 0].tolist() == [255, 204, 0]


def test_floats_whose_least_value_is_white_too(tmp_path):
    samples = np.array([0, 0.2, 1], "<f4").tobytes()
    image = photos.photo(tiff(tmp_path / "x.tif", samples, 3, 32, 0, t339=3))
    assert image[0, :, 0].tolist() == [255, 204, 0]


@pytest.mark.parametrize("top", [255, 4095, 65535])
def test_a_pgm_says_itself_which_value_is_white(tmp_path, top):
    path = tmp_path / "x.pgm"
    path.write_bytes(f"P2 3 1 {top} 0 {top // 255} {top}".encode())
    assert photos.photo(path)[0, :, 0].tolist() == [0, 1, 255]
    path.write_bytes(f"P2 3 1 {top} 0 {top // 255} {top // 255}".encode())
    assert photos.photo(path)[0, :, 0].tolist() == [0, 1, 1]


WHOLE = [
    ([0, 100, 255], [0, 100, 255]),
    ([0, 25700, 65535], [0, 100, 255]),
    ([0, 10**6, 10**9], [0, 0, 255]),
    ([-100, 0, 100], [0, 128, 255]),
    ([-7] * 3, [0] * 3),
]


@pytest.mark.parametrize(("values", "expected"), WHOLE)
def test_whole_numbers_are_scaled_by_their_range(tmp_path, values, expected):
    image = photos.photo(save(tmp_path / "x.tif", np.array([values], np.int32)))
    assert image[0, :, 0].tolist() == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.0, 0.5, 1.0], [0, 128, 255]),
        ([0.0, 0.5, 1.001], [0, 128, 255]),  # a little beyond, as filters leave it
        ([-0.05, 0.5, 1.05], [0, 128, 255]),
        ([0.2, 0.4, 0.6], [51, 102, 153]),
        ([0.0, 0.6, 3.0], [0, 51, 255]),  # brighter than white, yet no 255
        ([0.0, 100.0, 200.0], [0, 100, 200]),
        ([0.0, 255.0, 1020.0], [0, 64, 255]),
        ([0.0, 25700.0, 65535.0], [0, 100, 255]),
        ([500.0, 510.0, 550.0], [0, 51, 255]),
        ([-2.0, 0.0, 2.0], [0, 128, 255]),
        ([-0.5, -0.4, 0.0], [0, 51, 255]),
        ([1e6] * 3, [0] * 3),
        ([-3e38, 0, 3e38], [0, 128, 255]),
    ],
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


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp"])
@pytest.mark.parametrize("orientation", range(10))
def test_every_orientation_is_turned_upright(tmp_path, suffix, orientation):
    ramp = np.arange(0, 240, 10, dtype=np.uint8).reshape(4, 6).repeat(8, 0).repeat(8, 1)
    image, exif = Image.fromarray(ramp).convert("RGB"), Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"x.{suffix}"
    image.save(path, exif=exif, **({"lossless": True} if suffix == "webp" else {}))
    turned = Image.open(path) if suffix == "tif" else ImageOps.exif_transpose(Image.open(path))
    assert (photos.photo(path) == np.asarray(turned)).all()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("orientation", [1, 5, 6, 7, 8])
def test_grey_tiffs_are_turned_upright(tmp_path, dtype, orientation):
    # Pillow itself gets these wrong where it maps the file into memory.
    pixels, exif = np.array([[0, 51, 102], [153, 204, 255]]), Image.Exif()
    exif[0x0112] = orientation
    scale = {np.uint8: 1, np.uint16: 257, np.float32: 1}[dtype]
    path = save(tmp_path / "x.tif", (pixels * scale).astype(dtype), exif=exif)
    turned = {1: pixels, 5: pixels.T, 6: np.rot90(pixels, -1), 8: np.rot90(pixels)}
    turned[7] = turned[6][::-1]
    assert (photos.photo(path)[..., 0] == turned[orientation]).all()


def test_sixteen_bits_are_turned_upright_too(tmp_path):
    image, exif = Image.fromarray(np.array([[0, 25700, 65535]], np.uint16)), Image.Exif()
    exif[0x0112] = 6
    image.save(tmp_path / "x.png", exif=exif)
    assert photos.photo(tmp_path / "x.png")[:, 0, 0].tolist() == [0, 100, 255]


def exif_of(*tags: tuple[int, int, int, bytes]) -> bytes:
    """Write EXIF data of (tag, type, count, value), with values of up to 8 bytes."""
    start, table, body = 8 + 2 + 12 * len(tags) + 4, b"", b""
    for tag, kind, count, value in tags:
        where = value.ljust(4, b"\0") if len(value) <= 4 else struct.pack("<I", start + len(body))
        table += struct.pack("<HHI", tag, kind, count) + where
        body += value if len(value) > 4 else b""
    return b"Exif\0\0II*\0" + struct.pack("<IH", 8, len(tags)) + table + bytes(4) + body


TURNED = (0x0112, 3, 1, b"\x06\0")
BROKEN_EXIF = {
    "0/0 rational": exif_of(TURNED, (0x011A, 5, 1, bytes(8)), (0x0128, 3, 1, b"\2\0")),
    "NaN float": exif_of(
        TURNED, (0x011A, 11, 1, struct.pack("<f", np.nan)), (0x0128, 3, 1, b"\2\0")
    ),
    "NaN double": exif_of(TURNED, (0x829A, 12, 1, struct.pack("<d", np.nan))),
    "cut value": exif_of(TURNED, (0x010F, 2, 40, b"maker 12"))[:-6],
    "cut table": exif_of(TURNED, (0x010F, 2, 4, b"make"), (0x0110, 2, 4, b"abcd"))[:-14],
    "unknown type": exif_of(TURNED, (0x010F, 99, 1, b"x")),
    "value far away": exif_of(TURNED, (0x010F, 2, 1000, b"")),
    "short GPS": exif_of(TURNED, (0x8825, 4, 1, struct.pack("<I", 60))),
    "no such type of resolution": exif_of(TURNED, (0x011A, 2, 3, b"ab"), (0x0128, 3, 1, b"\2\0")),
}
NO_ORIENTATION = {
    "a text": exif_of((0x0112, 2, 2, b"6")),
    "a rational 0/0": exif_of((0x0112, 5, 1, bytes(8))),
    "not a number": exif_of((0x0112, 11, 1, struct.pack("<f", np.nan))),
    "out of range": exif_of((0x0112, 3, 1, b"\x63\0")),
    "no header": b"Exif\0\0nothing",
    "header only": b"Exif\0\0II*\0",
    "empty": b"Exif\0\0",
    "table of nothing": b"Exif\0\0MM\0*\0\0\0\x08\xff\xff",
}


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
@pytest.mark.parametrize("case", BROKEN_EXIF)
def test_broken_exif_costs_neither_the_picture_nor_its_orientation(tmp_path, suffix, case):
    path = save(tmp_path / f"x.{suffix}", COLOUR, exif=BROKEN_EXIF[case])
    assert photos.photo(path).shape == (6, 4, 3)


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
@pytest.mark.parametrize("case", NO_ORIENTATION)
def test_an_orientation_that_cannot_be_read_costs_no_picture(tmp_path, suffix, case):
    path = save(tmp_path / f"x.{suffix}", COLOUR, exif=NO_ORIENTATION[case])
    assert photos.photo(path).shape in {(4, 6, 3), (6, 4, 3)}


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("pointer", [0, 8, 150, 199, 200, 202, 10**9, 2**32 - 1])
def test_broken_exif_inside_a_tiff_costs_nothing_either(tmp_path, packed, pointer):
    samples, compression = (b"\3\0\x64\xc8\xff", 32773) if packed else (b"\0\x64\xc8\xff", 1)
    options = {"t259": compression, "t274": 6, "t34665": pointer}
    image = photos.photo(tiff(tmp_path / "x.tif", samples, 4, 8, 1, **options))
    assert image[:, 0, 0].tolist() == [0, 100, 200, 255]


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


ERRORS = [
    NotImplementedError("Unimplemented pixel format"),
    RuntimeError("no such codec"),
    SyntaxError("broken file"),
    struct.error("unpack requires a buffer"),
    ZeroDivisionError("division by zero"),
    AttributeError("'NoneType'"),
    IndexError("index out of range"),
    KeyError("0"),
    AssertionError(),
    EOFError(),
    MemoryError(),
    UserWarning("odd"),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_whatever_a_decoder_raises_the_error_names_the_file(tmp_path, monkeypatch, error):
    def fail(image):
        raise error

    monkeypatch.setattr(ImageFile.ImageFile, "load", fail)
    with pytest.raises(ValueError, match=r"path: .*x\.png cannot be decoded \(.+\)"):
        photos.photo(save(tmp_path / "x.png", COLOUR))


@pytest.mark.parametrize("suffix", ["png", "jpg", "gif", "tif", "webp", "bmp", "ico", "tga", "dds"])
@given(data=st.data())
def test_a_damaged_file_gives_a_picture_or_an_error_that_names_it(tmp_path_factory, suffix, data):
    content = io.BytesIO()
    Image.fromarray(COLOUR).save(content, {"jpg": "jpeg", "tif": "tiff"}.get(suffix, suffix))
    content = bytearray(content.getvalue())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, min(len(content), 200) - 1))
        content[place] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / f"damaged.{suffix}"
    path.write_bytes(content)
    try:
        assert photos.photo(path).dtype == np.uint8
    except ValueError as error:
        assert f"path: {path} " in str(error)  # noqa: PT017


@pytest.mark.parametrize("brand", [b"heic", b"heix", b"mif1", b"hevc", b"msf1"])
def test_heic_says_which_package_opens_it(tmp_path, brand):
    path = tmp_path / "IMG_0001.HEIC"
    path.write_bytes(b"\0\0\0\x18ftyp" + brand + b"\0\0\0\0mif1heic" + bytes(100))
    with pytest.raises(ValueError, match=r"IMG_0001\.HEIC is a HEIC photo: install pillow-heif"):
        photos.photo(path)


def test_a_path_may_begin_at_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    save(tmp_path / "x.png", COLOUR)
    assert (photos.photo("~/x.png") == COLOUR).all()
    assert (photos.photo(Path("~") / "x.png") == COLOUR).all()


def test_a_name_that_begins_with_a_tilde_is_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save(tmp_path / "~x.png", COLOUR)
    assert photos.photo("~x.png").shape == (4, 6, 3)


MEASURE = """
import re, sys
from common import photos
def kilobytes(what):
    return int(re.search(what + r":\\s+(\\d+)", open("/proc/self/status").read())[1])
photos.photo()
before = kilobytes("VmRSS")
height, width, _ = photos.photo(sys.argv[1]).shape
print((kilobytes("VmHWM") - before) * 1024 / (height * width))
"""


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="only Linux tells the peak")
@pytest.mark.parametrize("kind", ["RGB", "turned", "RGBA", "palette", "grey16", "float", "profile"])
def test_reading_takes_at_most_16_bytes_a_pixel(tmp_path, kind):
    path, options = tmp_path / "x.tif", {}
    row = np.random.default_rng(0).integers(0, 256, (1, 3000, 4), np.uint8)
    pixels = row.repeat(3000, 0)
    image = Image.fromarray(pixels[..., : 4 if kind == "RGBA" else 3].copy())
    if kind == "turned":
        options["exif"] = Image.Exif()
        options["exif"][0x0112] = 6
    elif kind == "palette":
        path, options["transparency"] = tmp_path / "x.png", bytes(range(256))
        image = Image.fromarray(pixels[..., 0].copy()).convert("P")
    elif kind == "grey16":
        image = Image.fromarray(pixels.view(np.uint16)[..., 0].copy())
    elif kind == "float":
        image = Image.fromarray(pixels[..., 0] / np.float32(255))
    elif kind == "profile":
        options["icc_profile"] = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    image.save(path, **options)
    command = [sys.executable, "-c", MEASURE, str(path)]
    root = Path(photos.__file__).parents[1]
    run = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    assert 3 < float(run.stdout) <= 16


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


def test_a_name_that_no_file_can_have_is_missing():
    with pytest.raises(FileNotFoundError, match="path: there is no file"):
        photos.photo("a" * 5000)


def test_a_path_may_be_an_entry_of_a_folder(tmp_path):
    Image.new("RGB", (2, 1), "red").save(tmp_path / "a.png")
    (entry,) = os.scandir(tmp_path)
    assert photos.photo(entry).tolist() == [[[255, 0, 0]] * 2]
