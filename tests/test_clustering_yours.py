"""Yours in the clustering notebook: any photo to the end, and the files hold what they should."""

import json
import sys
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from PIL import Image

from common import plotting, results
from tools.notebooks import alone, code_cells, load, source, tags
from tools.project import NOTEBOOKS

(NOTEBOOK,) = (path for path in NOTEBOOKS if path.parent.name == "clustering")


def yours(notebook):
    """Return the heading's id of the section that is tagged `yours`."""
    (cell,) = (cell for cell in notebook["cells"] if "yours" in tags(cell))
    return cell["id"]


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Execute the cells of Yours, and what they need, on a photo; return their namespace."""
    monkeypatch.setattr(results, "ROOT", tmp_path)
    monkeypatch.setattr(plotting, "display", lambda *args, **kwargs: None)
    notebook = load(NOTEBOOK)
    cells = code_cells(alone(notebook, yours(notebook)))
    matplotlib.use("Agg")

    def execute(photo, k=8):
        path = tmp_path / "mine.png"
        if not isinstance(photo, Path):
            Image.fromarray(np.asarray(photo, np.uint8)).save(path)
            photo = path
        names = {"__name__": "yours"}
        sys.modules["yours"] = type(sys)("yours")  # where dataclasses look up their module
        for cell in cells:
            code = source(cell)
            if code.startswith(("# @title Set-up", "# @title What comes out")):
                continue
            if "parameters" in tags(cell):
                code = f"MY_PHOTO, K = {str(photo)!r}, {k}"
            exec(compile(code, cell["id"], "exec"), names)
        names["folder"] = tmp_path / "build" / "clustering"
        return names

    return execute


def logo(n, shape=(40, 60), seed=0):
    """Draw a picture of n flat colours in stripes, all of them there."""
    rng = np.random.default_rng(seed)
    colours = rng.choice(256**3, n, replace=False)
    where = (np.arange(shape[0] * shape[1]) * n // (shape[0] * shape[1])).reshape(shape)
    picked = colours[where]
    return np.stack([picked >> 16, picked >> 8 & 255, picked & 255], axis=2).astype(np.uint8)


def failed(names):
    return [row.claim for row in names["evidence"].rows if row.passed is False]


def pixels(path, mode=None):
    with Image.open(path) as picture:
        return np.asarray(picture if mode is None else picture.convert(mode))


def assert_saved(names, image, k):
    files = {path.name.removeprefix(f"mine-{k}"): path for path in names["folder"].iterdir()}
    palette = json.loads(files[".json"].read_text(encoding="utf-8"))
    shown = np.array([entry["rgb"] for entry in palette], np.uint8)
    assert len(palette) <= k
    assert sum(entry["share"] for entry in palette) == pytest.approx(1, abs=1e-4)
    assert files[".hex"].read_text().split() == [entry["hex"] for entry in palette]
    gpl = files[".gpl"].read_text(encoding="utf-8").splitlines()
    assert gpl[0] == "GIMP Palette"
    assert [list(map(int, line.split()[:3])) for line in gpl[3:]] == shown.tolist()
    labels, painted = pixels(files["-labels.png"]), pixels(files[".png"], "RGB")
    assert labels.shape == painted.shape[:2] == image.shape[:2]
    assert pixels(files[".png"]).max() < k  # an index, not a colour
    np.testing.assert_array_equal(shown[labels], painted)
    dithered = pixels(files["-dithered.png"], "RGB")
    assert {*map(tuple, dithered.reshape(-1, 3))} <= {*map(tuple, shown)}
    assert pixels(files["-outlined.jpg"]).shape == image.shape
    assert pixels(files["-regions.png"]).shape == image.shape[:2]
    return painted


@pytest.mark.parametrize("n", range(1, 21))
def test_a_logo_of_few_colours_goes_to_the_end_and_comes_back_exactly(run, n, capsys):
    image = logo(n)
    names = run(image, k=20)
    assert failed(names) == []
    np.testing.assert_array_equal(assert_saved(names, image, n), image)
    printed = capsys.readouterr().out
    assert ("is cut to" in printed) == (n < 20)


@pytest.mark.parametrize(
    ("shape", "n"), [((1, 1), 1), ((1, 2), 2), ((1, 500), 13), ((500, 1), 3), ((2, 2), 4)]
)
def test_a_tiny_image_goes_to_the_end(run, shape, n):
    image = logo(n, shape)
    names = run(image)
    assert failed(names) == []
    assert_saved(names, image, min(8, n))


def test_a_drawing_of_few_colours_is_cut_where_its_colours_meet_and_nowhere_else(run):
    image = np.full((100, 150, 3), 255, np.uint8)
    image[20:60, 30:70], image[45:90, 75:140] = (220, 30, 30), (20, 60, 200)
    image[50:85, 20:50] = 250, 200, 0  # with position, it goes with red, and white is cut in two
    names = run(image)
    assert failed(names) == []
    cut, ours = names["boundaries"](names["own_place"]), names["boundaries"](names["own_regions"])
    np.testing.assert_array_equal(ours, cut)


def test_a_grey_image_goes_to_the_end(run):
    grey = np.add.outer(np.arange(80), np.arange(120)).astype(np.uint8)
    image = np.repeat(grey[..., None], 3, axis=2)
    names = run(image, k=6)
    assert failed(names) == []
    painted = assert_saved(names, image, 6)
    assert (painted[..., :1] == painted).all()


def test_more_than_256_colours_are_cut_with_a_sentence(run, capsys):
    image = np.random.default_rng(0).integers(0, 256, (50, 60, 3)).astype(np.uint8)
    names = run(image, k=1000)
    assert failed(names) == []
    assert_saved(names, image, 256)
    assert "K = 1000 is cut to 256 colours" in capsys.readouterr().out
    with pytest.raises(ValueError, match=r"palette: .* 256 colours, got 257"):
        names["png_bytes"](np.zeros((1, 1), int), np.zeros((257, 3), np.uint8))


def test_the_fewest_colours_reach_30_db_and_one_fewer_does_not(run, capsys):
    ramp = np.linspace(0, 255, 120).astype(np.uint8)
    image = np.stack(np.broadcast_arrays(ramp[:, None], ramp[None, ::2], 128), axis=2)
    names = run(image.astype(np.uint8))
    fewest, quality = names["fewest"], names["quality"]
    assert quality(fewest) >= 30 > quality(fewest - 1)
    (file,) = names["folder"].glob("*30dB*")
    saved = pixels(file, "RGB")
    assert names["psnr"](image.astype(np.uint8), saved) == pytest.approx(quality(fewest))
    (file,) = names["folder"].glob("*bytes*")
    assert file.stat().st_size <= names["budget"]


def test_nothing_of_the_reader_s_is_overwritten(run):
    image = logo(5)
    folder = run(image)["folder"]
    mine = folder / "mine-5.png"
    mine.write_bytes(b"my own work")
    run(image)
    assert mine.read_bytes() == b"my own work"
    assert (folder / "mine-5-2.png").exists()


def test_the_palette_beats_pillow_or_says_so(run, capsys):
    from sklearn.datasets import load_sample_image

    names = run(load_sample_image("flower.jpg")[::4, ::4])
    scores = names["own_scores"]
    best = max(scores[name] for name in names["RIVALS"])
    assert ("Do not trust" in capsys.readouterr().out) == (best > scores["ours"] + 0.1)
    assert scores["ours"] > scores["one mean colour"] + 5


@pytest.mark.parametrize(
    ("photo", "k", "says"),
    [
        ("nowhere.png", 8, "MY_PHOTO: there is no file"),
        (str(NOTEBOOK), 8, "MY_PHOTO: .* is not an image"),
        (None, 0, "K: expected an integer of at least 1, got 0"),
        (None, "8", "K: expected an integer of at least 1, got '8'"),
        (None, 2.5, "K: expected an integer of at least 1, got 2.5"),
    ],
)
def test_what_a_reader_sets_wrongly_is_named_before_any_work(photo, k, says):
    names, wrong = {"__name__": "yours"}, f"MY_PHOTO, K = {photo!r}, {k!r}"
    first = code_cells(load(NOTEBOOK))[2:8]
    code = "\n".join(wrong if "parameters" in tags(cell) else source(cell) for cell in first)
    with pytest.raises((ValueError, FileNotFoundError), match=says):
        exec(code, names)
    assert "colours" not in names
