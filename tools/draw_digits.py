"""Draw the ones and sevens that stand in for MNIST where it cannot be had.

usage: python -m tools.draw_digits    writes classification/strokes.npz, which `common.digits` reads

The digits ship as data, so that they are the same on every machine; this is where they come from.
"""

import numpy as np

from common.checks import generator, integer
from common.digits import STROKES
from tools.pack_ratings import npz
from tools.project import write

POINTS = 24  # points along a pen stroke: closer together than the finest pen is wide
PEN = (0.45, 2.0)  # narrowest and widest pen, as the standard deviation in pixels of its ink


def draw() -> dict[str, np.ndarray]:
    """Return what ships, by the names of the fields of `common.digits.Digits`.

    There are as many as MNIST has of ones and sevens, and another seed keeps the parts apart.
    """
    parts = {"train": (13_007, 1), "test": (2_163, 7)}
    drawn = {name: stroke_digits(n, seed) for name, (n, seed) in parts.items()}
    images = {f"{name}_images": images for name, (images, _) in drawn.items()}
    return images | {
        f"{name}_labels": labels.astype(np.uint8) for name, (_, labels) in drawn.items()
    }


def stroke_digits(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw ones and sevens with a pen, in MNIST's format.

    A one is a stem, at times with a flag at its top and a serif at its foot; a seven is a bar and
    a leg, at times with a hook at the bar's start and a short bar across the leg. Every stroke is a
    quadratic Bézier curve; proportions, curvature, slant, pen and ink are random. The ranges were
    set by looking at MNIST's digits, so that what is learned from these works on those.

    Parameters
    ----------
    n : int
        How many images, at least 1.
    rng : numpy.random.Generator or int
        Source of all randomness, or the seed of a new one.

    Returns
    -------
    images : ndarray, shape (n, 28, 28), uint8
        White ink (255) on black, anti-aliased, in a box of 20 pixels centred by mass.
    labels : ndarray, shape (n,), int64
        1 or 7, each with probability 1/2.

    Raises
    ------
    ValueError
        If `n` is below 1 or no integer, or `rng` is neither.
    """
    n, rng = integer("n", n), generator(rng)
    labels = rng.choice(np.array([1, 7]), size=n)
    strokes, drawn = _strokes(labels == 1, rng)
    slant = rng.normal(np.where(labels == 1, 0.22, 0.25), np.where(labels == 1, 0.36, 0.25))
    strokes[..., 0] -= slant[:, None, None] * strokes[..., 1]
    pen = np.exp(rng.normal(np.log(0.75), 0.3, n)).clip(*PEN)
    black = rng.uniform(3, 8, n)
    images = np.empty((n, 28, 28), dtype=np.uint8)
    for i in range(0, n, 500):  # so few at a time that they stay in the processor's cache
        part = slice(i, i + 500)
        images[part] = _ink(strokes[part], drawn[part], pen[part], black[part])
    return images, labels


def _strokes(one: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return four strokes for each digit, (n, 4, POINTS, 2), and which are drawn, (n, 4)."""
    n = len(one)

    def point(x, y):  # x to the right, y down; a digit is about 1 tall; a pair is a range
        x, y = (rng.uniform(*v, n) if isinstance(v, tuple) else v + np.zeros(n) for v in (x, y))
        return np.stack([x, y], axis=1)

    def normal_point(x, y):  # here a pair is a mean and a standard deviation
        return np.stack([rng.normal(*x, n), rng.normal(*y, n)], axis=1)

    right = point((0.13, 0.5), (-0.08, 0.08))  # of a seven, up to its cross
    left = point(-right[:, 0], (-0.05, 0.3))
    foot = point((-0.25, 0.25), 1)
    bar = left, (left + right) / 2 + normal_point((0, 0.08), (-0.03, 0.11)), right
    leg = right, (right + foot) / 2 + normal_point((0.05, 0.18), (0, 0.1)), foot
    inside, end = point((-0.05, 0.05), (0.05, 0.12)), point((-0.14, 0.08), (0.08, 0.35))
    hook = left, left + inside, left + end
    middle = (right + foot) / 2 + point((-0.12, 0.08), (-0.2, 0.2))
    arm = point((0.12, 0.4), 0) + normal_point((0, 0), (0, 0.08))
    cross = middle - arm, middle, middle + arm

    top, bottom = point(0, 0), point(0, 1)  # of a one, up to its serif
    stem = top, point(0, (0.3, 0.7)) + normal_point((0, 0.09), (0, 0)), bottom
    flag = top, top + point((-0.15, -0.05), (0.03, 0.12)), top + point((-0.35, -0.1), (0.1, 0.35))
    arm = point((0.12, 0.35), 0) + normal_point((0, 0), (0, 0.03))
    serif = bottom - arm, bottom, bottom + arm * rng.uniform(0.6, 1.2, (n, 1))

    table = [  # of a one, of a seven, and the probability that it is drawn in each
        (stem, leg, 1, 1),
        (stem, bar, 0, 1),
        (flag, hook, 0.25, 0.45),
        (serif, cross, 0.12, 0.35),
    ]
    t = np.linspace(0, 1, POINTS)[:, None]
    strokes, drawn = [], []
    for of_one, of_seven, p_one, p_seven in table:
        a, b, c = np.where(one[:, None], of_one, of_seven)[:, :, None]
        strokes.append((1 - t) ** 2 * a + 2 * t * (1 - t) * b + t**2 * c)
        drawn.append(rng.random(n) < np.where(one, p_one, p_seven))
    return np.stack(strokes, axis=1), np.stack(drawn, axis=1)


def _ink(strokes: np.ndarray, drawn: np.ndarray, pen: np.ndarray, black: np.ndarray) -> np.ndarray:
    """Render strokes (n, 4, POINTS, 2) as images (n, 28, 28) uint8.

    Every point carries the ink of its share of the stroke's length, and none if not drawn. Its dab
    is Gaussian, hence a product of one factor in x and one in y: the sum over all points of a digit
    is a matrix product. Paper that is black already takes up no more.
    """
    n = len(strokes)
    points, used = strokes.reshape(n, -1, 2), np.repeat(drawn, POINTS, axis=1)
    low = np.where(used[..., None], points, np.inf).min(axis=1)
    high = np.where(used[..., None], points, -np.inf).max(axis=1)
    scale = (20 - 4.2 * pen) / (high - low).max(axis=1)  # the box holds the pen's width as well
    strokes = strokes * scale[:, None, None, None]
    length = np.linalg.norm(np.gradient(strokes, axis=2), axis=3) * drawn[:, :, None]
    length = length.reshape(n, -1, 1)
    points = strokes.reshape(n, -1, 2)
    centre = (points * length).sum(axis=1, keepdims=True) / length.sum(axis=1, keepdims=True)
    points = (points - centre + 13.5).astype(np.float32)
    pen = pen[:, None, None].astype(np.float32)
    pixels = np.arange(28, dtype=np.float32)
    in_x, in_y = (np.exp(-(((pixels - points[..., [k]]) / pen) ** 2) / 2) for k in (0, 1))
    in_y *= (length / (np.sqrt(2 * np.pi) * pen)).astype(np.float32)
    ink = in_y.transpose(0, 2, 1) @ in_x
    dark = 1 - np.exp(-((black[:, None, None].astype(np.float32) * ink) ** 1.5))
    return np.round(255 * dark).astype(np.uint8)


if __name__ == "__main__":
    write(STROKES, npz(draw()))
