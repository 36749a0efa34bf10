"""One look for every figure, and the few drawings that more than one notebook needs."""

import io

import matplotlib.pyplot as plt
import numpy as np
from cycler import cycler
from IPython.display import display

# The palette of Okabe and Ito (2008, "Color Universal Design"), which readers with any kind of
# colour vision can tell apart; in the order in which a figure should use it.
COLOURS = {
    "blue": "#0072B2",
    "vermilion": "#D55E00",
    "green": "#009E73",
    "purple": "#CC79A7",
    "orange": "#E69F00",
    "sky": "#56B4E9",
    "black": "#000000",
    "grey": "#767676",
}


def use_style() -> None:
    """Set matplotlib's defaults for the collection; call it once, before the first figure."""
    cycle = [c for name, c in COLOURS.items() if name not in ("black", "grey")]
    plt.rcParams.update(
        {
            "figure.figsize": (8, 3.6),
            "figure.dpi": 100,
            "figure.constrained_layout.use": True,
            "figure.facecolor": "white",
            "axes.prop_cycle": cycler(color=cycle, marker=["o", "s", "^", "D", "v", "P"]),
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": True,
            "axes.axisbelow": True,
            "axes.titlesize": "medium",
            "axes.titlelocation": "left",
            "grid.color": "#E4E4E4",
            "grid.linewidth": 0.6,
            "lines.linewidth": 1.8,
            "lines.markersize": 4.5,
            "legend.frameon": False,
            "font.size": 10,
            "image.cmap": "gray",
        }
    )


def show(fig: plt.Figure, alt: str) -> None:
    """Show `fig` with a text alternative, and close it.

    Parameters
    ----------
    fig : matplotlib.figure.Figure
        The finished figure.
    alt : str
        What the figure shows, in a sentence, for readers who cannot see it. It is stored beside
        the image, and exported pages carry it as the image's ``alt``.
    """
    buffer = io.BytesIO()
    # No software version in the file: the same drawing then gives the same bytes.
    fig.savefig(buffer, format="png", metadata={"Software": None})
    plt.close(fig)
    data = {"image/png": buffer.getvalue(), "text/plain": f"[figure: {alt}]"}
    display(data, metadata={"image/png": {"alt": alt}}, raw=True)


def label_line(ax: plt.Axes, line: plt.Line2D, text: str, dy: float = 0.0) -> None:
    """Write `text` in the line's colour to the right of its last point, instead of a legend.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        The axes that hold the line.
    line : matplotlib.lines.Line2D
        What ``ax.plot`` returned for it.
    text : str
        The label.
    dy : float
        Shift upwards in points, for ends that lie close together.
    """
    x, y = line.get_xdata()[-1], line.get_ydata()[-1]
    ax.annotate(
        text,
        (x, y),
        xytext=(6, dy),
        textcoords="offset points",
        color=line.get_color(),
        va="center",
        annotation_clip=False,
    )


def power_law(ax: plt.Axes, x: np.ndarray, y: np.ndarray, label: str, **style) -> float:
    """Draw y against x on log axes with the straight line fitted to it, and return its slope.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Where to draw; both axes become logarithmic.
    x, y : array_like of float, shape (n,)
        Positive values, n ≥ 2.
    label : str
        Named in the legend, with the fitted exponent after it.
    **style
        Passed to ``ax.plot`` for the points (``color``, ``marker``).

    Returns
    -------
    float
        The exponent p of the least-squares fit log y = p log x + c.
    """
    slope, intercept = np.polyfit(np.log(x), np.log(y), 1)
    (points,) = ax.loglog(x, y, linestyle="none", label=f"{label}: slope {slope:.2f}", **style)
    ends = np.array([np.min(x), np.max(x)], dtype=float)
    ax.loglog(ends, np.exp(intercept) * ends**slope, "-", marker="", color=points.get_color())
    return float(slope)


def show_images(images, titles, alt: str, columns: int = 8, size: float = 1.2) -> None:
    """Show images in a grid, each under its title.

    Parameters
    ----------
    images : sequence of ndarray, each (h, w) grey or (h, w, 3) RGB, uint8 or float in 0 to 1
        At least one image; grey ones are drawn from black (0) to white (their maximum).
    titles : sequence of str
        One for each image.
    alt : str
        The figure's text alternative.
    columns : int
        Images in a row.
    size : float
        Width and height of a cell in inches.
    """
    if len(images) == 0 or len(titles) != len(images):
        raise ValueError(f"titles: expected one for each image, got {len(titles)}, {len(images)}")
    rows = -(-len(images) // columns)
    columns = min(columns, len(images))
    fig, axes = plt.subplots(
        rows, columns, figsize=(size * columns, (size + 0.25) * rows), squeeze=False
    )
    for ax in axes.flat:
        ax.axis("off")
    for ax, image, title in zip(axes.flat, images, titles, strict=False):
        ax.imshow(image, cmap="gray", vmin=0)
        ax.set_title(title, fontsize=8, loc="center")
    show(fig, alt)
