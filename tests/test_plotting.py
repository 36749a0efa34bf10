"""Drawing: still and moving pictures come with a text alternative, fits are right, one look."""

import base64
import io
import re
from html.parser import HTMLParser
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image

from common import plotting


@pytest.fixture(autouse=True)
def style():
    with plt.rc_context():
        plt.switch_backend("agg")
        plotting.use_style()
        yield
    assert not plt.get_fignums()


def test_show_gives_the_picture_its_text_and_closes_the_figure(shown):
    fig, _ = plt.subplots()
    plotting.show(fig, "An empty pair of axes.")
    ((data, metadata),) = shown
    assert data["image/png"].startswith(b"\x89PNG")
    assert metadata == {"image/png": {"alt": "An empty pair of axes."}}
    assert data["text/plain"] == "[figure: An empty pair of axes.]"


def test_the_same_drawing_gives_the_same_bytes(shown):
    for _ in range(2):
        fig, ax = plt.subplots()
        ax.plot([1, 2, 3])
        plotting.show(fig, "A rising line.")
    assert shown[0][0]["image/png"] == shown[1][0]["image/png"]


@pytest.mark.parametrize("slope", [-1.5, 0.0, 2.0])
def test_power_law_finds_the_exponent(slope):
    fig, ax = plt.subplots()
    x = np.array([1.0, 10.0, 300.0])
    assert plotting.power_law(ax, x, 5 * x**slope, "cost") == pytest.approx(slope, abs=1e-12)
    assert ax.get_xscale() == ax.get_yscale() == "log"
    assert "cost" in ax.get_legend_handles_labels()[1][0]
    plt.close(fig)


def test_label_line_writes_at_the_lines_end_in_its_colour():
    fig, ax = plt.subplots()
    (line,) = ax.plot([0, 1], [2, 3])
    plotting.label_line(ax, line, "here")
    (label,) = ax.texts
    assert label.xy == (1, 3)
    assert label.get_color() == line.get_color()
    plt.close(fig)


def test_the_style_is_the_same_however_often_it_is_set():
    before = dict(plt.rcParams)
    plotting.use_style()
    assert dict(plt.rcParams) == before
    assert len(before["axes.prop_cycle"]) == 6  # as many colours as markers, without black and grey


# moving pictures ---------------------------------------------------------------------------------


class Elements(HTMLParser):
    """The elements of a page with their attributes, and the texts."""

    def __init__(self, page):
        super().__init__()
        self.elements, self.texts = [], []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.texts.append(data.strip())

    def __getitem__(self, tag):
        (attrs,) = (attrs for name, attrs in self.elements if name == tag)
        return attrs


def bars(n_frames=3, alt="A bar grows.", figsize=(5, 3)):
    """Show a moving picture of one bar in full height whose width grows with the frame."""
    fig = plt.figure(figsize=figsize, layout="none")
    ax = fig.add_axes((0, 0, 1, 1))

    def draw(i):
        ax.clear()
        ax.axis("off")
        ax.set(xlim=(0, n_frames), ylim=(0, 1))
        ax.barh(0.5, i + 1, height=1, color="#D55E00")

    plotting.play(fig, draw, n_frames, alt)


def sheet(page):
    """Return the frames of a moving picture, one below the other, as RGB."""
    kind, data = page["img"]["src"].split(",")
    assert kind == "data:image/png;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB"))


def test_a_moving_picture_holds_each_frame_in_its_place(shown):
    bars(n_frames=5)
    ((data, _),) = shown
    page = Elements(data["text/html"])
    frames = sheet(page).reshape(5, 216, 360, 3)
    for i, frame in enumerate(frames):
        edge = 360 * (i + 1) // 5
        assert (frame[5:-5, 2 : edge - 2] == (0xD5, 0x5E, 0x00)).all()
        assert (frame[5:-5, edge + 2 :] == 255).all()
    style = page["img"]["style"]
    assert "aspect-ratio:360/216" in style
    assert style.endswith("object-position:0 0")  # the first frame
    assert (page["input"]["min"], page["input"]["max"], page["input"]["value"]) == ("0", "4", "0")


def test_a_moving_picture_needs_no_other_file_and_does_not_start_by_itself(shown):
    bars()
    page = shown[0][0]["text/html"]
    without = re.sub(r"base64,[\w+/=]+", "", page)
    assert not re.search(r"//|url\(|@import|href", without)
    assert {tag for tag, _ in Elements(page).elements} == {"div", "img", "button", "input"}
    handlers = {n for _, attrs in Elements(page).elements for n in attrs if n.startswith("on")}
    assert handlers == {"onclick", "oninput"}  # nothing without its reader
    assert " id=" not in without


def test_a_moving_picture_can_be_read_and_worked_without_seeing_it(shown):
    bars(alt='From "a" to <b> & on, {so}.')
    ((data, _),) = shown
    page = Elements(data["text/html"])
    assert page["img"]["alt"] == 'From "a" to <b> & on, {so}.'
    assert data["text/plain"] == '[moving picture: From "a" to <b> & on, {so}.]'
    assert page["button"]["type"] == "button"
    assert "Play" in page.texts
    assert page["input"]["aria-label"] == "Frame"
    for tag in ("button", "input"):  # else JupyterLab takes the arrow keys and Enter for its own
        assert "data-lm-suppress-shortcuts" in page[tag]


def test_the_same_moving_picture_gives_the_same_bytes(shown):
    bars()
    bars()
    assert shown[0] == shown[1]


def test_the_axes_of_a_moving_picture_stay_where_they_are(shown):
    fig, ax = plt.subplots(figsize=(4, 3))
    places = []

    def draw(i):
        ax.set_ylabel("a\nlabel\nof\nmany\nlines" if i else "")
        places.append(ax.get_position().bounds)

    plotting.play(fig, draw, 4, "A label grows.")
    assert places[1] == places[2] == places[3] == ax.get_position().bounds


@pytest.mark.parametrize("n_frames", [1, 16, 2.0, True])
def test_a_moving_picture_has_2_to_15_frames(shown, n_frames):
    with pytest.raises(ValueError, match=f"n_frames: expected .* from 2 to 15, got {n_frames}"):
        bars(n_frames)
    plt.close("all")
    assert not shown


@pytest.mark.parametrize("alt", [None, "", " ", 3])
def test_a_picture_without_a_text_alternative_is_refused(shown, alt):
    with pytest.raises(ValueError, match=rf"alt: expected a sentence .*, got {alt!r}"):
        bars(alt=alt)
    with pytest.raises(ValueError, match=rf"alt: expected a sentence .*, got {alt!r}"):
        plotting.show(plt.figure(), alt)
    plt.close("all")
    assert not shown


@pytest.mark.parametrize("change", ["set_figheight", "set_figwidth"])
def test_a_moving_picture_whose_frames_change_their_size_is_refused(shown, change):
    fig = plt.figure(figsize=(2, 2))
    with pytest.raises(ValueError, match=r"draw: expected frames of one size, got \[\(144"):
        plotting.play(fig, lambda i: getattr(fig, change)(2 + i), 2, "It grows.")
    assert not shown


@pytest.mark.parametrize("figsize", [(8, 3), (5, 4)])
def test_a_moving_picture_is_small(shown, figsize):
    width, height = figsize
    with pytest.raises(ValueError, match=rf"fig: .* 5 by 3 inches, got \[{width}\. {height}\.\]"):
        bars(figsize=figsize)
    plt.close("all")
    assert not shown


def test_a_moving_picture_is_light(shown):
    fig = plt.figure(figsize=(5, 3), layout="none")
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match=r"draw: expected at most 300 kB of frames, got \d{3,} kB"):
        plotting.play(fig, lambda i: fig.figimage(rng.random((216, 360))), 6, "Noise.")
    assert not shown


@pytest.mark.parametrize("asks", [True, False])
def test_who_may_be_asked_for_input_watches(monkeypatch, asks):
    shell = SimpleNamespace(get_parent=lambda: {"content": {"allow_stdin": asks}})
    monkeypatch.setattr(plotting, "get_ipython", lambda: shell)
    assert plotting.someone_watches() is asks
    shell.get_parent = dict  # before the first message
    assert not plotting.someone_watches()


@pytest.mark.parametrize("shell", [None, SimpleNamespace()])
def test_without_a_notebook_a_terminal_counts_as_people(monkeypatch, shell):
    monkeypatch.setattr(plotting, "get_ipython", lambda: shell)
    monkeypatch.setattr("sys.stderr", SimpleNamespace(isatty=lambda: True))
    assert plotting.someone_watches()
    monkeypatch.setattr("sys.stderr", None)
    assert not plotting.someone_watches()


def test_lines_take_the_colours_in_their_order_each_with_its_marker():
    plotting.use_style()
    cycle = list(plt.rcParams["axes.prop_cycle"])
    assert [look["color"] for look in cycle] == list(plotting.COLOURS.values())[:6]
    assert len({look["marker"] for look in cycle}) == 6
