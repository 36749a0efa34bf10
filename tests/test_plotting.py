"""Drawing: figures come with a text alternative, fits are right, grids hold every image."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

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


@pytest.mark.parametrize("count", [1, 3, 8, 9])
def test_show_images_draws_each_one_under_its_title(shown, monkeypatch, count):
    figures = []
    monkeypatch.setattr(plotting, "show", lambda fig, alt: figures.append(fig))
    images = [np.full((4, 4), i) for i in range(count)]
    plotting.show_images(images, [f"image {i}" for i in range(count)], "Grey squares.")
    drawn = [ax for ax in figures[0].axes if ax.images]
    assert [ax.get_title() for ax in drawn] == [f"image {i}" for i in range(count)]
    plt.close(figures[0])


@pytest.mark.parametrize(("count", "titles"), [(0, 0), (2, 1), (1, 2)])
def test_images_need_a_title_each(count, titles):
    with pytest.raises(ValueError, match="titles:"):
        plotting.show_images([np.ones((2, 2))] * count, ["title"] * titles, "None.")
