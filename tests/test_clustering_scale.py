"""An album's palette by workers: for any cut, and whoever dies, that of all photos together."""

import os
import signal
import sys
import threading
import time

import dask
import numpy as np
import pytest
from clustering_cases import nb, seeds, small_photo
from distributed import Client
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from common import cluster
from common.photos import photo
from tools.notebooks import code_cells, load, source, tags
from tools.project import ROOT

NOTEBOOK = ROOT / "clustering" / "image_segmentation_kmeans_kmedoids.ipynb"

pytestmark = pytest.mark.filterwarnings("default")  # Dask warns of what it mends itself


class Here:
    """A client's methods, at once and in this process."""

    def nthreads(self):
        return {"here": 1}

    def submit(
        self, function, *arguments, pure=True, workers=None, allow_other_workers=False, **kw
    ):
        return Result(function(*map(value, arguments), **{k: value(v) for k, v in kw.items()}))

    def map(self, function, *lists, **more):
        return [self.submit(function, *each, **more) for each in zip(*lists, strict=True)]

    def gather(self, results):
        return [each.result() for each in results]


class Result:
    def __init__(self, made):
        self.made = made

    def result(self):
        return self.made


def value(argument):
    if isinstance(argument, list):
        return [*map(value, argument)]
    return argument.made if isinstance(argument, Result) else argument


def by_value():
    """Take the algorithms' module from where a worker would look for it: it has no such file."""
    sys.modules.pop(nb.__name__, None)


def together(images, start, **stop):
    """K-means of all pixels of the images side by side."""
    image = np.concatenate([each.reshape(-1, 1, 3) for each in images])
    colours, _, counts = nb.unique_colours(image)
    return nb.kmeans(colours, len(start), weights=counts, init=start, **stop)


def by_blocks(images, start, n_blocks, client=None, **stop):
    client = client or Here()
    whole = client.submit(nb.merge, [client.submit(nb.tally, each) for each in images])
    return nb.palette_of_album(client, whole, start, n_blocks, **stop)


def assert_same(found, r):
    np.testing.assert_array_equal(found[0], r.centroids, strict=True)
    assert found[1:3] == (r.n_iter, r.converged)


def drawn(seed, levels=256, n=3):
    rng = np.random.default_rng(seed)
    shapes = rng.integers(1, 12, (n, 2))
    step = 255 // (levels - 1)
    return [(rng.integers(0, levels, (*shape, 3)) * step).astype(np.uint8) for shape in shapes]


def start_for(images, k, rng, taken=False):
    """Up to k centroids: colours of the images, or any."""
    colours = np.unique(np.concatenate([each.reshape(-1, 3) for each in images]), axis=0)
    k = min(k, len(colours))
    some = rng.choice(colours, k, replace=False).astype(float)
    return some if taken else rng.uniform(-50, 300, (k, 3))


# Without workers -------------------------------------------------------------------------------


@given(seeds, st.sampled_from([2, 4, 256]), st.integers(1, 6), st.integers(1, 300))
def test_a_tally_is_the_same_for_any_cut_and_order(seed, levels, n, fan):
    images = drawn(seed, levels, n)
    parts = [nb.tally(each) for each in images]
    colours, _, counts = nb.unique_colours(
        np.concatenate([each.reshape(-1, 1, 3) for each in images])
    )
    order = np.random.default_rng(seed).permutation(n)
    empty = (np.empty(0, np.int32), np.empty(0, np.int64), "broken")
    left = nb.merge([parts[i] for i in order[: n // 2]] + [empty])
    codes, w = nb.merge([left, *[parts[i] for i in order[n // 2 :]]])
    np.testing.assert_array_equal(nb.unpacked(codes), colours)
    np.testing.assert_array_equal(w, counts)
    tree, notes = nb.tally_album(Here(), images, lambda image: image, fan + 1)
    for a, b in zip(tree.result()[:2], (codes, w), strict=True):
        np.testing.assert_array_equal(a, b)
    assert [note.result() for note in notes] == [each.size // 3 for each in images]


@given(
    seeds,
    st.sampled_from([2, 3, 256]),
    st.integers(1, 9),
    st.sampled_from([0, 1, 2, 3, 7, 500]),
    st.booleans(),
    st.sampled_from([{}, {"max_iter": 1}, {"max_iter": 3}, {"tol": 2.0}]),
)
def test_blocks_of_colours_give_the_bits_of_all_pixels(seed, levels, k, n_blocks, taken, stop):
    """Blocks of one colour and none, centroids that no colour is near, constant photos."""
    images = drawn(seed, levels)
    start = start_for(images, k, np.random.default_rng(seed), taken)
    assert_same(by_blocks(images, start, n_blocks, **stop), together(images, start, **stop))


@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255), (7, 255, 0)])
def test_photos_of_one_colour_or_that_differ_in_one_channel(colour):
    one = np.full((4, 5, 3), colour, np.uint8)
    assert_same(by_blocks([one, one], [[9.0, 9, 9]], 2), together([one, one], [[9.0, 9, 9]]))
    ramp = one.copy()
    ramp[..., 1] = np.arange(20).reshape(4, 5)
    start = [[7.3, 1, 0], [7.3, 8, 0.1], [7.3, 20, 0]]
    assert_same(by_blocks([one, ramp], start, 3), together([one, ramp], start))


def test_a_block_returns_the_same_whatever_it_was_asked_before():
    codes, counts = nb.tally(small_photo())
    rng, block, k = np.random.default_rng(0), nb.Block(codes, counts), 9
    for C in [nb.start_of((codes, counts), k, i) + rng.normal(0, i, (k, 3)) for i in range(6)] * 2:
        expected = nb.Block(codes, counts).sums(C)
        np.testing.assert_array_equal(block.sums(C), expected)
        np.testing.assert_array_equal(block.sums(C), expected)
        np.testing.assert_array_equal(expected[:, 3].sum(), counts.sum())
    block.product = None  # a step that breaks off
    with pytest.raises(AttributeError):
        block.sums(C + 30)
    np.testing.assert_array_equal(block.sums(C), expected)


def test_painting_by_the_album_s_table_is_painting_all_photos_together():
    images = drawn(1, n=4)
    whole = nb.merge([nb.tally(each) for each in images])
    centres = nb.start_of(whole, 7, 0)
    table, palette = nb.painter_of(whole, centres)
    for image in images:
        index, expected = nb.paint(*nb.unique_colours(image)[:2], centres)
        np.testing.assert_array_equal(table[nb.packed(image)], index)
        np.testing.assert_array_equal(palette, expected)
    with pytest.raises(ValueError, match="k: expected an integer from 1 to 256, as an indexed"):
        nb.painter_of(whole, np.zeros((257, 3)))


def test_start_and_few_colours():
    whole = nb.tally(np.arange(12, dtype=np.uint8).reshape(2, 2, 3))
    assert len(np.unique(nb.start_of(whole, 4, 0), axis=0)) == 4
    rare = np.array([0, 1, 2**16], np.int32), np.array([10**12, 1, 1])
    assert len(np.unique(nb.start_of(rare, 3, 0), axis=0)) == 3  # a sample would miss two
    with pytest.raises(ValueError, match="k: expected an integer from 1 to 4"):
        nb.start_of(whole, 5, 0)
    with pytest.raises(ValueError, match="k: expected an integer from 1 to 4"):
        by_blocks([np.arange(12, dtype=np.uint8).reshape(2, 2, 3)], np.zeros((5, 3)), 2)


@pytest.mark.parametrize(
    ("tallies", "says"),
    [
        ([], "tallies: expected a list"),
        (None, "tallies: expected a list"),
        ("ab", "tallies: expected a list"),
        ([1], "tallies: expected a list"),
        ([([1],)], "tallies: expected a list"),
        ([([1], [2, 3])], "tallies: expected 1 values, as many as colours, got 2"),
        ([([1.5], [2])], "tallies: expected whole numbers, got dtype float64"),
        ([([2**24], [1])], "tallies: expected whole numbers from 0 to 16777215"),
        ([([1], [-1])], "tallies: expected whole numbers from 0"),
        ([([1], [2**44])] * 3, "tallies: expected finite numbers"),
    ],
)
def test_tallies_that_are_none_are_named(tallies, says):
    with pytest.raises(ValueError, match=says):
        nb.merge(tallies)


def test_arguments_are_named():
    image, here = small_photo(), Here()
    for bad in (image.astype(float), image[..., 0], image[:0], None, "a"):
        with pytest.raises(ValueError, match="image: expected"):
            nb.tally(bad)
    with pytest.raises(ValueError, match="files: expected a list of files"):
        nb.tally_album(here, [], photo)
    with pytest.raises(ValueError, match="files: expected a list of files"):
        nb.tally_album(here, "a.png", photo)
    with pytest.raises(ValueError, match="fan: expected an integer of at least 2"):
        nb.tally_album(here, [1, 2], photo, 1)
    good = np.eye(3)
    for init in (good[0], good * np.nan, "k-means++", None, good[:, :2]):
        for n_blocks in (0, 2):
            with pytest.raises(ValueError, match="init: expected"):
                by_blocks([image], init, n_blocks)
    for n_blocks in (-1, 1.5, None, "2"):
        with pytest.raises(ValueError, match="n_blocks: expected an integer"):
            by_blocks([image], good, n_blocks)
    for name, bad in [("max_iter", 0), ("tol", -1), ("tol", np.nan)]:
        for n_blocks in (0, 2):
            with pytest.raises(ValueError, match=f"{name}: expected"):
                by_blocks([image], good, n_blocks, **{name: bad})


# On workers ------------------------------------------------------------------------------------


def album(folder, n, size=(60, 80)):
    """Write n photos with noise, and a broken one; return their files."""
    for i in range(n):
        rng = np.random.default_rng(i)
        part = np.rot90(photo()[5 * (i % 40) :, 3 * (i % 40) :], i)[: size[0], : size[1]]
        noisy = (part + rng.normal(0, 4, part.shape)).clip(0, 255).astype(np.uint8)
        Image.fromarray(noisy).save(folder / f"{i:03d}.png")
    (folder / "broken.png").write_bytes((folder / "000.png").read_bytes()[:-900])
    return sorted(map(str, folder.iterdir()))


def painted_album(client, files, k=16, n_blocks=2, killed=None):
    """All steps; returns the centroids, the painted pixels and the notes."""
    packed = nb.packed
    tally, notes = nb.tally_album(client, files, lambda file: photo(file), 3)
    notes = client.gather(notes)
    start = client.submit(nb.start_of, tally, k, 0, pure=False).result()
    found = nb.palette_of_album(client, tally, start, n_blocks)
    painter = client.submit(nb.painter_of, tally, found[0], pure=False)
    good = [file for file, note in zip(files, notes, strict=True) if isinstance(note, int)]
    paint = [
        client.submit(lambda f, t: t[1][t[0][packed(photo(f))]], file, painter, pure=False)
        for file in good
    ]
    return found, start, client.gather(paint), dict(zip(files, notes, strict=True))


def assert_is_the_album(results, files):
    found, start, pictures, notes = results
    images = [photo(file) for file in files if not file.endswith("broken.png")]
    broken = [note for note in notes.values() if isinstance(note, str)]
    assert len(broken) == 1
    assert "broken.png cannot be decoded" in broken[0]
    assert sum(note for note in notes.values() if isinstance(note, int)) == sum(
        image.size // 3 for image in images
    )
    r = together(images, start)
    assert_same(found, r)
    assert found[3] == 2  # blocks: no centroid lost all its points
    for image, picture in zip(images, pictures, strict=True):
        index, palette = nb.paint(*nb.unique_colours(image)[:2], r.centroids)
        np.testing.assert_array_equal(palette[index], picture)


@pytest.fixture
def two(tmp_path):
    by_value()
    with dask.config.set({"scheduler-address": None}), cluster.workers() as client:
        yield client


def test_an_album_with_a_broken_photo_on_two_workers(two, tmp_path):
    files = album(tmp_path, 7)
    assert_is_the_album(painted_album(two, files), files)
    with pytest.raises(ValueError, match="k: expected an integer from 1 to"):
        painted_album(two, files[:1], 10**6)


def test_a_killed_worker_changes_no_bit(two, tmp_path):
    files = album(tmp_path, 12)
    pid = next(iter(two.run(os.getpid).values()))
    start, calm = time.monotonic(), painted_album(two, files)
    took = time.monotonic() - start
    for share in (0.15, 0.6):
        pid = next(iter(two.run(os.getpid).values()))
        timer = threading.Timer(share * took, os.kill, (pid, signal.SIGKILL))
        timer.start()
        start = time.monotonic()
        results = painted_album(two, files)
        assert time.monotonic() - start < 2 * took + 20
        timer.join()
        np.testing.assert_array_equal(results[0][0], calm[0][0])
        assert_is_the_album(results, files)
        two.wait_for_workers(2, timeout=60)


@pytest.mark.slow
def test_an_album_on_workers_that_were_started_elsewhere(scheduler, tmp_path):
    by_value()
    (tmp_path / "album").mkdir()
    files = album(tmp_path / "album", 7)
    with Client(scheduler[0]) as waits:
        waits.wait_for_workers(2, timeout=60)
    with dask.config.set({"scheduler-address": scheduler[0]}), cluster.workers() as client:
        client.wait_for_workers(2, timeout=60)
        cluster.seen(client, files)
        assert_is_the_album(painted_album(client, files), files)


@pytest.mark.slow
def test_one_broken_among_two_hundred(two, tmp_path):
    files = album(tmp_path, 199, (20, 30))
    assert len(files) == 200
    assert_is_the_album(painted_album(two, files), files)


# The page with an album ------------------------------------------------------------------------


def beginning(pattern):
    """Execute the page up to the photo, with MY_PHOTO set; return its names."""
    names = {"__name__": "album"}
    for cell in code_cells(load(NOTEBOOK))[2:8]:
        code = f"MY_PHOTO, K = {pattern!r}, 8" if "parameters" in tags(cell) else source(cell)
        exec(code, names)
    return names


def test_a_pattern_leaves_the_page_to_the_portrait_until_the_album_s_turn(tmp_path, capsys):
    files = album(tmp_path, 2)
    names = beginning(str(tmp_path / "*.png"))
    assert names["own_album"] == files
    np.testing.assert_array_equal(names["image"], photo())
    assert "Your album's turn is at the end of Craft" in capsys.readouterr().out
    starred = tmp_path / "one*.png"
    starred.write_bytes((tmp_path / "001.png").read_bytes())
    assert beginning(str(starred))["own_album"] == []  # a file's own name
    with pytest.raises(ValueError, match="MY_PHOTO: expected a pattern that matches a file, got"):
        beginning(str(tmp_path / "*.jpg"))
