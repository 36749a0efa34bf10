"""Segmenting images: K-means against scikit-learn, K-medoids against `kmedoids`, and their growth.

Both sides of a race get the same start and the same stopping rule: until nothing changes any more.
K-means is timed from pixels to the label of every pixel. "7 photos" are the portrait, two that come
with scikit-learn and four with scikit-image, one after the other; "12 MP" is the portrait enlarged,
with noise; the peer's algorithm is `lloyd`. Starting centroids are k-means++ ones shifted by about
a thousandth of a level. Colours and centroids that are whole numbers are at equal distance from
each other so often that how ties are broken would decide where a run ends, and scikit-learn, which
centres its data first, rounds them in its own way; without ties, the two agree. Pillow's median cut
has neither start nor iterations.

Two things make K-means fast here: equal colours count once, and margins tell which colours cannot
have changed their centroid, more and more of them from iteration to iteration. "Generic points" and
the growth curves take both away, with points drawn at random and only the first ten iterations.

K-medoids is slower than its compiled peer with few points or with many medoids, where a swap is so
little work that calling NumPy's functions counts; with more points and fewer medoids it is faster.
"""

import functools
from importlib import resources

import numpy as np
from PIL import Image

from benchmarks import medoids, points
from benchmarks.measure import Case, Growth, Limit, Race, peak_bytes
from benchmarks.medoids import notebook
from common.photos import photo

KS = (8, 16, 32)
BUNDLED = {
    "sklearn.datasets.images": ["china.jpg", "flower.jpg"],
    "skimage.data": ["astronaut.png", "coffee.png", "rocket.jpg", "chelsea.png"],
}


@functools.cache
def picture(quick: bool, large: bool) -> np.ndarray:
    """Return the portrait, or 12 megapixels: the portrait upscaled, with noise added."""
    image = photo()[::4, ::4] if quick else photo()
    if not large:
        return image
    shape = (480, 600) if quick else (3200, 3750)
    image = np.array(Image.fromarray(image).resize(shape, Image.Resampling.BICUBIC))
    rng = np.random.default_rng(0)
    for row in image:
        noisy = row + np.rint(3 * rng.standard_normal(row.shape))
        row[:] = noisy.clip(0, 255)
    return image


def pictures(quick: bool, large: bool) -> list[np.ndarray]:
    """Return the seven photos, or the one of 12 megapixels."""
    found = [picture(quick, large)]
    for package, names in BUNDLED.items() if not large else ():
        for name in names:
            with Image.open(resources.files(package) / name) as opened:
                found.append(np.asarray(opened.convert("RGB"))[:: 4 if quick else 1])
    return found


def start(X: np.ndarray, w: np.ndarray, k: int, seed: int = 0) -> np.ndarray:
    """Return k-means++ centroids, shifted a little so that no point is between two of them."""
    rng = np.random.default_rng(seed)
    return notebook().starting_centroids(X, w, k, "k-means++", rng) + 1e-3 * rng.random((k, 3))


def segment(image: np.ndarray, C: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return centroids and label map of an image, by the notebook's K-means."""
    nb = notebook()
    X, inverse, counts = nb.unique_colours(image)
    result = nb.kmeans(X, len(C), weights=counts, init=C, max_iter=100_000)
    return result.centroids, result.labels.astype(np.uint8)[inverse]


def segmenting(k: int, large: bool):
    """Return the build function of a race from pixels to label map."""

    def build(quick: bool) -> Race:
        from sklearn.cluster import KMeans

        nb, images = notebook(), pictures(quick, large)
        starts = []
        for image in images:
            X, _, w = nb.unique_colours(image)
            starts.append(start(X, w, k))
        pairs = list(zip(images, starts, strict=True))

        def theirs(image, C):
            options = {"n_init": 1, "tol": 0, "max_iter": 100_000, "algorithm": "lloyd"}
            pixels = image.reshape(-1, 3).astype(float)
            fit = KMeans(k, init=C, **options).fit(pixels)
            return fit.cluster_centers_, fit.labels_.reshape(image.shape[:2])

        def naive(image, C):
            pixels = image.reshape(-1, 3).astype(float)
            fit = nb.lloyd(pixels, np.ones(len(pixels)), C, 100_000)
            return fit.centroids, fit.labels.reshape(image.shape[:2])

        def inertia(results) -> float:
            total = 0.0
            for image, (centroids, labels) in zip(images, results, strict=True):
                rows = zip(image, labels, strict=True)
                total += float(sum(((row - centroids[a]) ** 2).sum() for row, a in rows))
            return total

        def each(way):
            return lambda: [way(*pair) for pair in pairs]

        plain = None if large else each(naive)  # 12 MP would take it long
        return Race(each(segment), each(theirs), inertia, plain)

    return build


def against_pillow(quick: bool) -> Race:
    """Put 12 megapixels into 16 colours; Pillow stops after one cut, without any iteration."""
    image = picture(quick, True)
    X, _, w = notebook().unique_colours(image)
    C, method, none = start(X, w, 16), Image.Quantize.MEDIANCUT, Image.Dither.NONE

    def ours():
        centroids, labels = segment(image, C)
        return np.rint(centroids).astype(np.uint8)[labels]

    def theirs():
        return np.asarray(Image.fromarray(image).quantize(16, method, dither=none).convert("RGB"))

    return Race(ours, theirs, lambda result: squared_error(image, result))


def peak_megabytes(quick: bool) -> float | None:
    """Peak memory of 12 megapixels in 16 colours."""
    image = picture(quick, True)
    some = image.reshape(-1, 3)[:: image.size // 10_000].astype(float)
    C = start(some, np.ones(len(some)), 16)
    peak = peak_bytes(lambda: segment(image, C))
    return None if peak is None else peak / 1e6


def worst_palette(quick: bool) -> float:
    """Largest error over that of Pillow's best quantiser, over all k from 2 to 64."""
    nb, image = notebook(), photo()[::5, ::5] if quick else photo()[::2, ::2]
    X, inverse, w = nb.unique_colours(image)
    ratios = []
    for k, fit in enumerate(nb.palettes(X, 64, weights=w, rng=0), start=1):
        if k == 1:
            continue
        fits = [fit, nb.kmeans_of_starts(X, k, weights=w, rng=0)] if k <= 8 else [fit]
        palettes = [nb.paint(X, inverse, f.centroids) for f in fits]
        ours = min(squared_error(image, palette[index]) for index, palette in palettes)
        ratios.append(ours / min(squared_error(image, other) for other in quantised(image, k)))
    return float(np.max(ratios))


def quantised(image: np.ndarray, k: int) -> list[np.ndarray]:
    """Return the image in k colours by Pillow's quantisers, the last refined by K-means."""
    q, none, found = Image.Quantize, Image.Dither.NONE, []
    for method, refine in ((q.MEDIANCUT, 0), (q.FASTOCTREE, 0), (q.MEDIANCUT, 1)):
        other = Image.fromarray(image).quantize(k, method=method, kmeans=refine, dither=none)
        found.append(np.asarray(other.convert("RGB")))
    return found


def squared_error(image: np.ndarray, other: np.ndarray) -> float:
    """Return the mean squared difference of two images, row by row to save memory."""
    rows = zip(image, other, strict=True)
    return float(np.mean([np.mean((a.astype(float) - b) ** 2) for a, b in rows]))


def cases() -> list[Case]:
    """Return the comparisons with goals, and Pillow's for reference."""
    races = [
        Case(
            name=f"clustering: {'12 MP' if large else '7 photos'} to {k} colours",
            peer="scikit-learn",
            goal=0.33,
            build=segmenting(k, large),
            tolerance=1e-9,
            rated_by="inertia",
        )
        for large in (False, True)
        for k in KS
    ]
    quantise = Case(
        name="clustering: 12 MP to 16 colours, its median cut",
        peer="pillow",
        goal=None,  # how much longer the better palette takes
        build=against_pillow,
        tolerance=0.0,
        rated_by="mean squared error",
    )
    return [*races, *points.cases(), quantise, *medoids.cases()]


def limits() -> list[Limit]:
    """Return what must not be exceeded."""
    memory = Limit(
        "clustering: 12 MP to 16 colours, peak memory (limit: 12 × the image + 200 MB)",
        "MB",
        12 * 3200 * 3750 * 3 / 1e6 + 200,
        peak_megabytes,
    )
    palettes = Limit(
        "clustering: error over the least of Pillow's octree, median cut and that refined, "
        "worst of k = 2 to 64",
        "",
        1.0,
        worst_palette,
        "pillow",
    )
    return [memory, *medoids.limits(), palettes]


def growths() -> list[Growth]:
    """Return how the cost grows with n and with k."""
    return [*points.growths(), *medoids.growths()]
