"""The clustering notebook as a page: its photos, its mask, and every cell once more."""

import ast
import json
import subprocess
import sys
from importlib import resources

import numpy as np
import pytest
from clustering_cases import nb
from PIL import Image, ImageDraw
from scipy import ndimage

from common.photos import photo
from tools.notebooks import alone, code_cells, read, sections, source
from tools.project import NOTEBOOKS, ROOT

(NOTEBOOK,) = (path for path in NOTEBOOKS if path.parent.name == "clustering")
PHOTOS = {
    "sklearn.datasets.images": ["china.jpg", "flower.jpg"],
    "skimage.data": [
        *("astronaut.png", "coffee.png", "rocket.jpg", "chelsea.png", "logo.png"),
        *("page.png", "retina.jpg", "hubble_deep_field.jpg", "camera.png", "ihc.png"),
    ],
}
BUNDLED = [(package, name) for package, names in PHOTOS.items() for name in names]


@pytest.mark.slow
@pytest.mark.parametrize(("package", "name"), BUNDLED)
def test_the_notebook_runs_to_the_end_on_a_photo_of_one_s_own(package, name):
    pytest.importorskip(package.split(".")[0])
    path = resources.files(package) / name
    command = [sys.executable, "-m", "tools.execute", "run", f"MY_PHOTO={path}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=1200)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "FAILED" not in done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(1, 1), (40, 60)])
def test_the_notebook_runs_to_the_end_on_a_drawing(tmp_path, shape):
    path = tmp_path / "drawing.png"
    Image.new("RGB", shape[::-1], (200, 30, 40)).save(path)
    command = [sys.executable, "-m", "tools.execute", "run", f"MY_PHOTO={path}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=1200)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_the_notebook_runs_to_the_end_on_fifty_megapixels(tmp_path):
    """A photo enlarged, with noise, so that it has as many colours as a camera's."""
    path, rng = tmp_path / "large.jpg", np.random.default_rng(0)
    large = np.asarray(Image.fromarray(photo()).resize((7070, 7070), Image.Resampling.BICUBIC))
    noise = rng.integers(-6, 7, large.shape, np.int8)
    Image.fromarray((large + noise.astype(np.int16)).clip(0, 255).astype(np.uint8)).save(path)
    command = [sys.executable, "-m", "tools.execute", "run", f"MY_PHOTO={path}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=1200)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Saved build/clustering/large" in done.stdout
    for made in (ROOT / "build" / "clustering").glob("large-*"):
        made.unlink()


HEADINGS = [s.id for s in sections(read(NOTEBOOK)) if s.needs is not None]


@pytest.mark.parametrize("heading", HEADINGS)
def test_a_section_and_the_cells_that_it_names_define_all_that_they_use(heading):
    code = "\n".join(map(source, code_cells(alone(read(NOTEBOOK), heading))))
    command = [sys.executable, "-m", "ruff", "check", "--isolated", "--select", "F821", "-"]
    done = subprocess.run(command, input=code, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_mask_covers_the_portrait_with_four_parts_of_some_size():
    drawn = json.loads((NOTEBOOK.parent / "hand_mask.json").read_text(encoding="utf-8"))
    parts = ["background", "flag", "face", "uniform"]
    height, width = photo().shape[:2]
    sheet = Image.new("L", (width, height), 0)
    for one in drawn["polygons"]:
        corners = np.array(one["polygon"])
        assert corners.shape[1] == 2
        assert (corners >= 0).all()
        assert (corners <= (width, height)).all()
        ImageDraw.Draw(sheet).polygon([*map(tuple, corners)], fill=parts.index(one["part"]))
    mask = np.asarray(sheet)
    assert (np.bincount(mask.ravel(), minlength=4) > 0.1 * mask.size).all()
    for point, part in (((500, 50), 0), ((20, 20), 1), ((260, 260), 2), ((100, 500), 3)):
        assert mask[point[::-1]] == part
    for part in (1, 2, 3):  # a hat and a coat
        assert ndimage.label(mask == part)[1] <= 2


OWN_SCOPE = (
    *(ast.FunctionDef, ast.Lambda, ast.ClassDef),
    *(ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp),
)


def test_no_name_is_bound_in_two_cells():
    places = {}
    for cell in code_cells({"cells": read(NOTEBOOK).cells}):
        code = ast.parse(source(cell))
        loops = {
            name.id
            for node in ast.walk(code)
            if isinstance(node, ast.For)
            for name in ast.walk(node.target)
            if isinstance(name, ast.Name)
        }
        inner = {
            id(name)
            for node in ast.walk(code)
            if isinstance(node, OWN_SCOPE)
            for name in ast.walk(node)
        }
        stored = {
            node.id
            for node in ast.walk(code)
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
            if id(node) not in inner and node.id not in loops
        }
        defined = {n.name for n in code.body if isinstance(n, ast.FunctionDef | ast.ClassDef)}
        for name in stored | defined:
            places.setdefault(name, []).append(cell["id"])
    allowed = {"fig", "ax"}
    twice = {n: ids for n, ids in places.items() if len(ids) > 1 and n not in allowed}
    assert {name for name in twice if not name.startswith("_")} == set()


# The certificate and the scores ----------------------------------------------------------------


@pytest.mark.parametrize("seed", range(20))
def test_the_bound_is_below_every_choice_of_medoids(seed):
    from itertools import combinations

    rng = np.random.default_rng(seed)
    n, k = int(rng.integers(3, 9)), int(rng.integers(1, 4))
    D, w = rng.random((n, n)) * 10.0 ** rng.integers(-3, 4), rng.integers(1, 5, n).astype(float)
    if seed % 3 == 0:
        D = np.round(D / D.max() * 3)  # ties
    np.fill_diagonal(D, 0)
    best = min(nb.cost_of(D, w, list(m)) for m in combinations(range(n), k))
    for start in (np.arange(k), nb.kmedoids(D, k, weights=w).medoids):
        bounds = nb.lower_bound(D, start, weights=w)
        assert (np.diff(bounds) >= 0).all()
        assert bounds[-1] <= best * (1 + 1e-9) + 1e-12


def test_the_bound_is_tight_where_clusters_are_far_apart():
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.standard_normal((20, 2)) + 100 * j for j in range(4)])
    D = np.sqrt(nb.squared_distances(X, X))
    found = nb.kmedoids(D, 4)
    assert nb.lower_bound(D, found.medoids)[-1] == pytest.approx(found.cost, rel=1e-3)


def test_adjusted_rand_is_scikit_learns():
    from sklearn.metrics import adjusted_rand_score

    rng = np.random.default_rng(0)
    for k, m in ((1, 1), (1, 4), (3, 3), (8, 2), (50, 50)):
        a, b = rng.integers(0, k, 50), rng.integers(0, m, 50)
        assert nb.adjusted_rand(a, b) == pytest.approx(adjusted_rand_score(a, b))
        assert nb.adjusted_rand(a, a) == 1
    far = np.array([0, 2**31, 2**31 - 1, 7])
    with pytest.raises(ValueError, match="others: expected whole numbers from 0 to 2147483647"):
        nb.adjusted_rand(far % 2, far)  # pairs of larger labels would not fit into an integer
    singles = np.arange(50)
    assert nb.adjusted_rand(singles, singles) == 1


def test_boundary_recall_counts_borders_nearby():
    mask, labels = np.zeros((20, 20), int), np.zeros((20, 20), int)
    mask[:, 10:], labels[:, 12:] = 1, 1
    assert nb.boundary_recall(labels, mask, 2) == 1
    assert nb.boundary_recall(labels, mask, 1) == 0
    assert nb.boundary_recall(np.zeros_like(mask), mask) == 0
    assert nb.boundary_recall(labels, np.zeros_like(mask)) == 1


# Regions ---------------------------------------------------------------------------------------


def same_partition(a, b):
    pairs = len(np.unique(np.stack([a.ravel(), b.ravel()]), axis=1).T)
    return pairs == len(np.unique(a)) == len(np.unique(b))


@pytest.mark.parametrize("shape", [(1, 1), (1, 30), (30, 1), (25, 40)])
def test_connected_regions_are_scipys(shape):
    for seed, k in ((0, 1), (1, 2), (2, 5)):
        labels = np.random.default_rng(seed).integers(0, k, shape)
        expected, n = np.zeros(shape, int), 0
        for j in range(k):
            found, many = ndimage.label(labels == j)
            expected[labels == j] = found[labels == j] + n
            n += many
        assert same_partition(nb.connected(labels), expected)
        assert nb.connected(labels).max() + 1 == n


@pytest.mark.parametrize("least", [1, 5, 40, 10_000])
def test_no_small_region_is_left_and_each_is_connected(least):
    for seed, k in ((0, 2), (1, 4), (2, 30)):
        labels = np.random.default_rng(seed).integers(0, k, (25, 40))
        merged = nb.merge_small(labels, least)
        size = np.bincount(merged.ravel())
        assert len(size) == 1 or size.min() >= least
        assert same_partition(nb.connected(merged), merged)
        whole = nb.connected(labels)  # no region is cut
        assert (
            len(np.unique(np.stack([whole.ravel(), merged.ravel()]), axis=1).T) == whole.max() + 1
        )


def test_slic_is_close_to_scikit_images():
    segmentation = pytest.importorskip("skimage.segmentation")
    color = pytest.importorskip("skimage.color")
    image = photo()[::4, ::4]
    lab = nb.rgb_to_lab(image)
    np.testing.assert_allclose(lab, color.rgb2lab(image), atol=0.05)
    ours = nb.slic(lab, 100, compactness=10.0)
    theirs = segmentation.slic(
        image, 100, compactness=10.0, sigma=0, start_label=0, enforce_connectivity=False
    )
    assert abs(len(np.unique(ours)) - len(np.unique(theirs))) <= 30
    assert nb.boundary_recall(ours, theirs, 2) > 0.8
    assert nb.boundary_recall(theirs, ours, 2) > 0.8


def test_slic_gives_the_grid_where_the_image_is_even():
    labels = nb.slic(np.zeros((40, 60, 3)), 6)
    assert len(np.unique(labels)) == 6
    np.testing.assert_allclose(np.bincount(labels.ravel()), 400, atol=45)  # ties go to one side
    assert nb.slic(np.zeros((1, 1, 3)), 9).tolist() == [[0]]


# What the page says of other photos -------------------------------------------------------------


def other_photo(name, pixels):
    from sklearn.datasets import load_sample_image

    image = load_sample_image(name)
    step = int(np.ceil(np.sqrt(image.shape[0] * image.shape[1] / pixels)))
    return np.ascontiguousarray(image[::step, ::step])


@pytest.mark.parametrize("name", ["china.jpg", "flower.jpg"])
def test_a_quantiser_of_pillow_s_is_ahead_at_some_k_on_another_photo(name):
    image = other_photo(name, 8_000)
    colours, place, counts = nb.unique_colours(image)
    ahead = []
    for k, found in enumerate(nb.palettes(colours, 40, weights=counts, rng=0, n_tries=3), start=1):
        index, palette = nb.paint(colours, place, found.centroids)
        ours = np.mean((palette[index].astype(float) - image) ** 2)
        for method in (Image.Quantize.MEDIANCUT, Image.Quantize.MAXCOVERAGE):
            theirs = Image.fromarray(image).quantize(
                k, method=method, kmeans=1, dither=Image.Dither.NONE
            )
            ahead.append(np.mean((np.asarray(theirs.convert("RGB"), float) - image) ** 2) < ours)
    assert any(ahead)


def test_on_another_photo_medoids_may_move_farther_than_means_under_a_far_colour():
    image = other_photo("china.jpg", 1_300)
    X, _, w = nb.unique_colours(image)
    medoids = nb.kmedoids(np.sqrt(nb.squared_distances(X, X)), 8, weights=w).medoids
    clean = nb.kmeans(X, 8, weights=w, init=X[medoids]).centroids
    moved = []
    for seed in range(8):
        noisy = image.copy()
        noisy[np.random.default_rng(seed).random(image.shape[:2]) < 0.01] = (0, 255, 0)
        Y, _, v = nb.unique_colours(noisy)
        means = nb.kmeans(Y, 8, weights=v, init=clean).centroids
        start = nb.squared_distances(X[medoids], Y).argmin(axis=1)
        D = np.sqrt(nb.squared_distances(Y, Y))
        again = Y[nb.kmedoids(D, 8, weights=v, init=start).medoids]
        shift = (means - clean, again - X[medoids])
        moved.append([np.sqrt((s**2).sum(axis=1)).mean() for s in shift])
    means, medoids = np.mean(moved, axis=0)
    assert medoids > means


def test_on_another_draw_of_the_three_groups_the_silhouette_prefers_two():
    chosen = []
    for seed in (3, 10):
        rng = np.random.default_rng(seed)
        middles = [[-14.0, 0.0], [7.0, 4.0], [7.0, -4.0]]
        X = np.concatenate([m + rng.standard_normal((60, 2)) for m in middles])
        D = np.sqrt(nb.squared_distances(X, X))
        width = [nb.silhouette(D, nb.kmeans_of_starts(X, k, rng=0).labels) for k in (2, 3)]
        chosen.append(2 + int(np.argmax(width)))
    assert chosen == [3, 2]
