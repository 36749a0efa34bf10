"""One look for every figure, and the few drawings that more than one notebook needs."""

import base64
import html
import io
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from IPython import get_ipython
from IPython.display import display
from PIL import Image

from common.checks import integer

COLOURS = {  # Okabe and Ito's (2008), for any kind of colour vision, in the order of use
    "blue": "#0072B2", "vermilion": "#D55E00", "green": "#009E73", "purple": "#CC79A7",
    "orange": "#E69F00", "sky": "#56B4E9", "black": "#000000", "grey": "#767676",
}  # fmt: skip


def use_style() -> None:
    """Set matplotlib's defaults for the collection; call it once, before the first figure."""
    plt.style.use(Path(__file__).with_name("figures.mplstyle"))


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
    data = {"image/png": _png(fig, alt), "text/plain": f"[figure: {alt}]"}
    plt.close(fig)
    display(data, metadata={"image/png": {"alt": alt}}, raw=True)


def _png(fig: plt.Figure, alt: str, **options) -> bytes:
    """Return the file, without a software's version: the same drawing gives the same bytes."""
    if not isinstance(alt, str) or not alt.strip():
        raise ValueError(f"alt: expected a sentence that says what is seen, got {alt!r:.60}")
    buffer = io.BytesIO()
    fig.savefig(buffer, format="png", metadata={"Software": None}, **options)
    return buffer.getvalue()


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
        If the figure is larger, changes its size, has no text alternative, or the frames together
        exceed 300 kB.
    """
    n_frames = integer("n_frames", n_frames, 2, 15)
    if (fig.get_size_inches() > (5.5, 3.5)).any():
        raise ValueError(f"fig: expected at most 5 by 3 inches, got {fig.get_size_inches()}")
    frames, file = [], io.BytesIO()
    for i in range(n_frames):
        draw(i)
        frames.append(np.asarray(Image.open(io.BytesIO(_png(fig, alt, dpi=72))).convert("RGB")))
        fig.set_layout_engine("none")  # else the axes would move with their labels
    plt.close(fig)
    if len({frame.shape for frame in frames}) > 1:
        raise ValueError(f"draw: expected frames of one size, got {[f.shape[:2] for f in frames]}")
    Image.fromarray(np.vstack(frames)).quantize(128).save(file, "png", optimize=True)
    encoded, (h, w, _) = base64.b64encode(file.getvalue()).decode(), frames[0].shape
    if len(encoded) > 300_000:
        raise ValueError(f"draw: expected at most 300 kB of frames, got {len(encoded) // 1000} kB")
    page = Path(__file__).with_name("player.html").read_text(encoding="utf-8")
    page = page.format(alt=html.escape(alt), w=w, h=h, frames=encoded, last=n_frames - 1)
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
