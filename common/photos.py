"""The photo that is segmented: the reader's own, or the portrait inside matplotlib."""

import os
import warnings
from pathlib import Path

import matplotlib.cbook
import numpy as np
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

MAX_PIXELS = 50_000_000  # a larger photo would need gigabytes once its colours are clustered


def photo(path: str | os.PathLike | None = None) -> np.ndarray:
    """Read a photo as RGB.

    Parameters
    ----------
    path : str or path-like, optional
        Any file that Pillow can read: grey, palette, transparent (laid over white), CMYK, 16 bits
        per channel; turned upright where its EXIF data says so; of an animation the first frame.
        By default the portrait of Grace Hopper (public domain) that ships inside matplotlib.

    Returns
    -------
    ndarray, shape (h, w, 3), uint8
        Red, green and blue, 0 to 255.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is empty, is no image, or has more than 50 million pixels.
    """
    if path is None:
        path = matplotlib.cbook.get_sample_data("grace_hopper.jpg", asfileobj=False)
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"path: there is no file {path}")
    if not path.is_file():
        raise ValueError(f"path: expected an image file, {path} is a folder")
    if path.stat().st_size == 0:
        raise ValueError(f"path: {path} is empty")
    try:
        with warnings.catch_warnings():
            # Pillow warns of sizes that we reject by our own, lower limit.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                pixels = image.width * image.height
                if pixels <= MAX_PIXELS:
                    return np.array(_to_rgb(ImageOps.exif_transpose(image)))
    except UnidentifiedImageError as error:
        raise ValueError(f"path: {path} is not an image that Pillow can read") from error
    except Image.DecompressionBombError as error:
        raise ValueError(f"path: {path} has far more than {MAX_PIXELS:,} pixels") from error
    except (OSError, SyntaxError, ValueError, TypeError, OverflowError) as error:
        # All of these Pillow raises, depending on where the data is broken.
        raise ValueError(f"path: {path} cannot be decoded ({error})") from error
    raise ValueError(f"path: {path} has {pixels:,} pixels, expected at most {MAX_PIXELS:,}")


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith(("I", "F")):
        # More than 8 bits, of which Pillow's own conversion would clip all but the lowest 256
        # values. Floats in 0 to 1 and integers of 16 bits have an agreed white; the range of
        # any others that do not fit into 8 bits is stretched.
        values = np.asarray(image, dtype=np.float64)
        low, high = values.min(), values.max()
        if not np.isfinite(high - low):
            raise ValueError("it holds NaN or infinity")
        clear = values == image.info.get("transparency")
        if image.mode == "F" and 0 <= low <= high <= 1:
            values = values * 255
        elif image.mode.startswith("I;16") or (0 <= low and 255 < high <= 65535):
            values = values / 257
        elif low < 0 or high > 255:
            values = (values - low) / max(high - low, 1) * 255
        values = np.where(clear, 255, np.round(values))
        image = Image.fromarray(values.astype(np.uint8))
    if image.mode == "LAB":
        lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        return ImageCms.profileToProfile(image, lab, srgb, outputMode="RGB")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        paper = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(paper, image)
    return image.convert("RGB")
