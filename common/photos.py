"""The photo that is segmented: the reader's own, or the portrait inside matplotlib."""

import functools
import io
import os
from contextlib import suppress
from pathlib import Path
from warnings import catch_warnings

import numpy as np
from matplotlib.cbook import get_sample_data
from PIL import ExifTags, Image, ImageCms, ImageOps, UnidentifiedImageError

MAX_PIXELS = 50_000_000  # a larger photo would need gigabytes once its colours are clustered


def photo(path: str | os.PathLike | None = None) -> np.ndarray:
    """Read a photo as its owner sees it, in RGB.

    Parameters
    ----------
    path : str or path-like, optional
        Any file that Pillow can read: grey, palette, transparent (laid over white), CMYK, 12 or 16
        bits, floats; turned upright where its EXIF data says so, in sRGB where it brings a colour
        profile; of an animation the first frame. ``~`` is the home folder. By default the portrait
        of Grace Hopper (public domain) that ships inside matplotlib.

    Returns
    -------
    ndarray, shape (h, w, 3), uint8
        Red, green and blue (sRGB), 0 to 255.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is empty, is no image, or has more than 50 million pixels.

    Notes
    -----
    Whole numbers have a white of 255 or 65535, floats of 1 (a tenth beyond is cut off) or 255 or,
    between 1 and 10, of their greatest; what fits none is stretched from its least to its greatest.
    """
    path = get_sample_data("grace_hopper.jpg", asfileobj=False) if path is None else path
    path = Path(os.path.expanduser(path if isinstance(path, os.PathLike) else str(path)))
    if not os.path.exists(path):  # which is false, too, for a name that is too long
        raise FileNotFoundError(f"path: there is no file {path}")
    if not path.is_file() or path.stat().st_size == 0:
        raise ValueError(f"path: {path} {'is empty' if path.is_file() else 'is a folder, no file'}")
    try:  # Pillow warns of what we do without; opened by name, it turns some TIFF files wrongly
        with catch_warnings(action="ignore"), path.open("rb") as file, Image.open(file) as image:
            pixels = image.width * image.height
            if 0 < pixels <= MAX_PIXELS:
                return _to_rgb(image)
    except Exception as error:  # Pillow raises almost any, depending on where the data is broken
        raise ValueError(f"path: {path} {_why(path, error)}") from error
    raise ValueError(f"path: {path} has {pixels:,} pixels, expected 1 to {MAX_PIXELS:,}")


def _why(path: Path, error: Exception) -> str:
    with suppress(OSError), path.open("rb") as file:
        if file.read(11)[4:] in (b"ftyphei", b"ftyphev", b"ftypmif", b"ftypmsf"):
            return "is a HEIC photo: install pillow-heif, call pillow_heif.register_heif_opener()"
    if isinstance(error, Image.DecompressionBombError):
        return f"has far more than {MAX_PIXELS:,} pixels"
    if isinstance(error, UnidentifiedImageError):
        return "is not an image that Pillow can read"
    return f"cannot be decoded ({str(error) or type(error).__name__})"


def _to_rgb(image: Image.Image) -> np.ndarray:
    image.getexif = functools.cache(functools.partial(_orientation, image.getexif))
    ImageOps.exif_transpose(image, in_place=True)  # loads the image first
    black, white = _ends(image) if image.mode.startswith(("I", "F")) else (None, None)
    inks, transform = _transform(image)
    rgb = np.empty((image.height, image.width, 3), np.uint8)
    for top, strip in _strips(image):
        alpha = Image.new("L", strip.size, 255)
        if white is not None:
            values = np.asarray(strip, np.float64)
            opaque = (values != strip.info.get("transparency")) * 255
            grey = np.round(np.clip((values - black) / (white - black), 0, 1) * 255)
            strip = Image.fromarray(np.dstack([grey, opaque]).astype(np.uint8))
        if strip.has_transparency_data:
            strip = strip.convert("LA" if strip.mode == "La" else "RGBA").convert("RGBA")
            alpha, strip = strip.getchannel("A"), strip.convert("RGB")
        strip = transform.apply(strip.convert(inks)) if transform else strip.convert("RGB")
        paper = Image.new("RGB", strip.size, "white")
        rgb[top : top + strip.height] = Image.composite(strip, paper, alpha)
    return rgb


def _orientation(getexif) -> Image.Exif:
    """Return, of the EXIF data, the orientation alone: the rest may be broken in many ways."""
    exif = Image.Exif()
    for _ in range(2):  # after an error, a second call gives what was read before it
        with suppress(Exception):
            exif[ExifTags.Base.Orientation] = int(getexif()[ExifTags.Base.Orientation])
    return exif


def _transform(image: Image.Image) -> tuple:
    """Return the mode in which colours enter the transform to sRGB, and that, or None."""
    base = Image.getmodebase(image.mode) if image.mode not in ("CMYK", "LAB") else image.mode
    with suppress(Exception):  # there is no profile, or it is broken, which makes no difference
        file = io.BytesIO(image.info.get("icc_profile"))
        own = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB") if base == "LAB" else file)
        inks = own.profile.xcolor_space.strip().upper().replace("GRAY", "L")
        if inks == base or (inks == "RGB" and base in ("L", "P")):
            return inks, ImageCms.buildTransform(own, ImageCms.createProfile("sRGB"), inks, "RGB")
    return base, None


def _ends(image: Image.Image) -> tuple[float, float]:
    """Return the values of black and white of a grey image that has more than 8 bits."""
    tags = getattr(image, "tag_v2", {})
    if image.mode.startswith("I;16") or (image.format == "PPM" and image.mode == "I"):
        ends = 0, 4095 if tags.get(ExifTags.Base.BitsPerSample) == (12,) else 65535
    else:
        parts = [[v.min(), v.max()] for v in (np.asarray(s, float) for _, s in _strips(image))]
        low, high = np.min(parts), np.max(parts)
        if not np.isfinite(high - low):
            raise ValueError("it holds NaN or infinity")
        floats, whole = ((1.1, 1), (10, high), (255, 255)), ((255, 255), (65535, 65535))
        known = [white for most, white in (floats if image.mode == "F" else whole) if high <= most]
        ends = (0, known[0]) if known and low >= -0.1 else (low, high if high > low else low + 1)
    return ends[::-1] if tags.get(ExifTags.Base.PhotometricInterpretation) == 0 else ends


def _strips(image: Image.Image):
    """Cut the image into strips, so that what is made of one hardly adds to the memory."""
    for top in range(0, image.height, rows := 1 + 500_000 // image.width):
        yield top, image.crop((0, top, image.width, min(top + rows, image.height)))
