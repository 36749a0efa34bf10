"""One look for every figure, and the few drawings that more than one notebook needs."""

import base64
import html
import io
import sys

import matplotlib.pyplot as plt
import numpy as np
from cycler import cycler
from IPython import get_ipython
from IPython.display import display
from PIL import Image

from common.checks import integer, length

COLOURS = {  # Okabe and Ito's (2008), for any kind of colour vision, in the order of use
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
    cycle = cycler(color=list(COLOURS.values())[:6], marker=["o", "s", "^", "D", "v", "P"])
    plt.rc("figure", figsize=(8, 3.6), dpi=100, facecolor="white")
    plt.rc("figure.constrained_layout", use=True)
    plt.rc("axes", grid=True, axisbelow=True, titlesize="medium", titlelocation="left")
    plt.rc("axes", prop_cycle=cycle)
    plt.rc("axes.spines", top=False, right=False)
    plt.rc("grid", color="#E4E4E4", linewidth=0.6)
    plt.rc("lines", linewidth=1.8, markersize=4.5)
    plt.rcParams.update({"legend.frameon": False, "font.size": 10, "image.cmap": "gray"})


def someone_watches() -> bool:
    """Return whether a person runs this, in a notebook or a terminal: for sliders and bars."""
    shell = get_ipython()
    if hasattr(shell, "get_parent"):
        return bool(shell.get_parent().get("content", {}).get("allow_stdin"))
    return sys.stderr is not None and sys.stderr.isatty()


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
    data = {"image/png": _png(fig), "text/plain": f"[figure: {alt}]"}
    plt.close(fig)
    display(data, metadata={"image/png": {"alt": alt}}, raw=True)


def _png(fig: plt.Figure, **options) -> bytes:
    buffer = io.BytesIO()
    # No software version in the file: the same drawing then gives the same bytes.
    fig.savefig(buffer, format="png", metadata={"Software": None}, **options)
    return buffer.getvalue()


# One tall picture holds all frames; the page shows a window of it, by two styles, as JupyterLab
# keeps only the outer one until a notebook is trusted. "data-lm" keeps its shortcuts off the keys.
PLAYER = """<div><div style="max-height:{h}px;overflow:hidden"><img alt="{alt}" style="
display:block;width:{w}px;max-width:100%;aspect-ratio:{w}/{h};object-fit:cover;object-position:0 0"
src="data:image/png;base64,{frames}"></div><button data-lm-suppress-shortcuts type="button"
onclick="const slider = this.nextElementSibling, turn = () =>
(slider.value = (+slider.value + 1) % (+slider.max + 1), slider.oninput());
this.timer = this.timer ? clearInterval(this.timer) : setInterval(turn, 400);
this.textContent = this.timer ? 'Pause' : 'Play'">Play</button>
<input data-lm-suppress-shortcuts type="range" min="0" max="{last}" value="0" aria-label="Frame"
oninput="this.parentNode.querySelector('img').style.objectPosition =
'0 ' + 100 * this.value / this.max + '%'"></div>"""


def play(fig: plt.Figure, draw, n_frames: int, alt: str) -> None:
    """Show a moving picture with a button and a slider, and close the figure.

    It stands still until its reader starts it, and needs no other file and no network: it does
    what matplotlib's HTML player does, in fewer lines than it would take to mend that one, which
    loads icons from another host, names its parts by chance, and has no text alternative.

    Parameters
    ----------
    fig : matplotlib.figure.Figure
        At most about 5 × 3 inches; it is drawn at 72 dots per inch and in 128 colours. The
        layout of the first frame holds for all.
    draw : callable
        ``draw(i)`` changes `fig` into frame i; it is called once for each, in order.
    n_frames : int
        From 2 to 15.
    alt : str
        What moves, in a sentence, for readers who cannot see it.

    Raises
    ------
    ValueError
        If the figure is larger, or the frames together exceed 300 kB.
    """
    n_frames = integer("n_frames", n_frames, 2, 15)
    if (fig.get_size_inches() > (5.5, 3.5)).any():
        raise ValueError(f"fig: expected at most 5 by 3 inches, got {fig.get_size_inches()}")
    frames, file = [], io.BytesIO()
    for i in range(n_frames):
        draw(i)
        frames.append(np.asarray(Image.open(io.BytesIO(_png(fig, dpi=72))).convert("RGB")))
        fig.set_layout_engine("none")  # else the axes would move with their labels
    plt.close(fig)
    Image.fromarray(np.vstack(frames)).quantize(128).save(file, "png", optimize=True)
    encoded, (h, w, _) = base64.b64encode(file.getvalue()).decode(), frames[0].shape
    if len(encoded) > 300_000:
        raise ValueError(f"draw: expected at most 300 kB of frames, got {len(encoded) // 1000} kB")
    page = PLAYER.format(alt=html.escape(alt), w=w, h=h, frames=encoded, last=n_frames - 1)
    display({"text/html": page, "text/plain": f"[moving picture: {alt}]"}, metadata={}, raw=True)


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
    end = line.get_xdata()[-1], line.get_ydata()[-1]
    style = {"color": line.get_color(), "va": "center", "annotation_clip": False}
    ax.annotate(text, end, xytext=(6, dy), textcoords="offset points", **style)


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
    if len(images) == 0:
        raise ValueError("images: expected at least one, got none")
    length("titles", titles, len(images), "images")
    rows = -(-len(images) // columns)
    columns = min(columns, len(images))
    figsize = (size * columns, (size + 0.25) * rows)
    fig, axes = plt.subplots(rows, columns, figsize=figsize, squeeze=False)
    for ax in axes.flat:
        ax.axis("off")
    for ax, image, title in zip(axes.flat, images, titles, strict=False):
        ax.imshow(image, cmap="gray", vmin=0)
        ax.set_title(title, fontsize=8, loc="center")
    show(fig, alt)
