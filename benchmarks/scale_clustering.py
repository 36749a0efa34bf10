r"""One palette of 64 for an album: photos tallied, Lloyd on blocks of colours, photos painted.

There are $n$ photos with $c$ distinct colours each, $m \le 2^{24}$ in all, for $k$ colours, by $w$
workers in $t$ iterations: crops and turns of six photos with noise, JPEG files made beforehand.
*On workers* each photo is read twice, to be tallied and to be painted. *In memory* all photos are
read into one array, and the page's functions take it for one image. Both start from the same sample
and encode the same PNGs; the difference is 1 if one byte of these differs.

- *Bytes*: 12 for each colour of a tally, wherever its merge runs on another worker, at most $12nc$
  in the lowest level of the tree and $96m$ in the highest; $12m$ when blocks are cut; $24kw$ there
  and $32kw$ back in an iteration; the table of labels, 16 MB, to each worker; the PNGs.
- *Work* of a worker: $\frac nw(2T_\text{read} + T_\text{tally} + T_\text{paint})$; merges of
  $nc + 8m\log_8 n$ colours at most, shared but for the top; $km/w$ distances at the start of Lloyd,
  and then, since margins spare most colours, about $mT_\text{step}/w$ and one pair of messages in
  each iteration; on one worker alone the start from a sample and the table of labels.
- *Memory* of a worker: a photo; 76 bytes for each colour of its blocks, and as much again while
  these are assigned anew; the tallies that wait for their merge, about eight for each level of the
  tree, because that is walked depth first.

**Where it stops.** An iteration takes at least a pair of messages with each worker, and $m$ cannot
grow beyond $2^{24}$: with more than a few dozen workers messages outweigh colours. By then reading
and painting, which grow with the album and need no messages between photos, are nearly all the
work. The one process that saves receives all PNGs; a large cluster's workers would write them to a
shared disk themselves. The top merge runs on one worker; cut by ranges of colours it could be
shared too. Points with more distinct places than memory has room for would be read again in each
iteration, or sampled (mini-batch K-means: Sculley 2010), from a start drawn in few rounds
(k-means||: Bahmani et al. 2012).
"""

import functools
import io
import sys
import tempfile
from functools import partial
from importlib.resources import files as package
from operator import methodcaller
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.measure import best
from common import cluster
from common.photos import photo
from tools.notebooks import algorithms

TITLE = "200 photos of 0.3 MP, one palette of 64, all painted"
GOALS = {"memory": 250e6, "time": 0.7}
SIZE, SMALL, K = 200, 8, 64
STOP = {"tol": 0.05}  # of a level, which has no effect on a palette of whole numbers
ORIGINALS = [
    ("skimage.data", "astronaut.png"),
    ("skimage.data", "coffee.png"),
    ("skimage.data", "rocket.jpg"),
    ("skimage.data", "chelsea.png"),
    ("sklearn.datasets.images", "china.jpg"),
    ("sklearn.datasets.images", "flower.jpg"),
]


def _algorithms():
    """Return the notebook's functions, so that they travel to workers by value."""
    nb = algorithms("clustering")
    sys.modules.pop(nb.__name__)
    return nb


@functools.cache
def _folder() -> tempfile.TemporaryDirectory:
    return tempfile.TemporaryDirectory(prefix="album-")


def _album(n: int) -> list[str]:
    """Return the files of n photos, which are made where they are not there yet."""
    names = [str(Path(_folder().name, f"{i:04d}.jpg")) for i in range(n)]
    lack = [i for i, name in enumerate(names) if not Path(name).exists()]
    photos = [photo(package(where) / name) for where, name in ORIGINALS] if lack else []
    for i in lack:
        rng = np.random.default_rng([18, i])
        picture = Image.fromarray(np.rot90(photos[i % len(photos)], i // len(photos) % 4))
        size = (np.array(picture.size) * rng.uniform(0.6, 1)).astype(int)
        left, top = map(int, rng.integers(0, picture.size - size + 1))
        part = picture.crop((left, top, left + int(size[0]), top + int(size[1])))
        noise = 6 * rng.standard_normal((480, 640, 3))
        noisy = (np.asarray(part.resize((640, 480))) + noise).clip(0, 255).astype(np.uint8)
        Image.fromarray(noisy).save(names[i], quality=95, subsampling=0)
    return names


def _encoder():
    """Return the function that encodes a PNG, so that it travels by value too."""

    def encode(index, palette):
        picture, buffer = Image.fromarray(index.astype(np.uint8)), io.BytesIO()
        picture.putpalette(palette.tobytes())
        picture.save(buffer, "PNG")
        return buffer.getvalue()

    return encode


def on_workers(client, size: int | None = None):
    """Return the palette's centroids and the PNG of each photo."""
    nb, names, encode = _algorithms(), _album(size or SIZE), _encoder()
    tally, notes = nb.tally_album(client, names, lambda file: photo(file))
    colours = client.submit(lambda t: len(t[0]), tally, pure=False)
    start = client.submit(nb.start_of, tally, K, 0, pure=False).result()
    pay = min(colours.result() // 2**20, len(client.nthreads()))  # as the notebook decides
    blocks = pay if pay > 1 else 0
    centroids, *_ = nb.palette_of_album(client, tally, start, blocks, **STOP)
    painter_of, packed = nb.painter_of, nb.packed

    def painted(painter, file):
        return encode(painter[0][packed(photo(file))], painter[1])

    job = client.submit(lambda t: partial(painted, painter_of(t, centroids)), tally, pure=False)
    each = (methodcaller("__call__", name) for name in names)
    paintings = [client.submit(call, job, pure=False) for call in each]
    pngs = []
    for painting in paintings:
        pngs.append(painting.result())
        painting.release()
    assert sum(client.gather(notes)) == len(names) * 480 * 640
    return centroids, pngs


def in_memory(size: int | None = None):
    """Do the same with all photos as one image."""
    nb, names, encode = _algorithms(), _album(size or SIZE), _encoder()
    image = np.concatenate([photo(name) for name in names])
    colours, place, counts = nb.unique_colours(image)
    codes = (colours @ [2**16, 2**8, 1]).astype(np.int32)
    start = nb.start_of((codes, counts), K, 0)
    centroids = nb.kmeans(colours, K, weights=counts, init=start, **STOP).centroids
    index, palette = nb.paint(colours, place, centroids)
    return centroids, [encode(part, palette) for part in np.split(index, len(names))]


def same(a, b) -> float:
    """Return the largest relative difference of the centroids; 1 if a PNG differs."""
    return 1.0 if a[1] != b[1] else float((np.abs(a[0] - b[0]) / b[0].max()).max())


def constants() -> dict[str, float]:
    """Return seconds and bytes of each kind of work, and how many colours there are."""
    nb, names, encode = _algorithms(), _album(24), _encoder()

    images = [photo(name) for name in names]
    tallies = [nb.tally(image) for image in images]
    whole = nb.merge(tallies)
    m, X, merged = len(whole[0]), nb.unpacked(whole[0]), sum(len(t[0]) for t in tallies)
    start = nb.start_of(whole, K, 0)
    runs = [nb.kmeans(X, K, weights=whole[1], init=start, max_iter=i).n_iter for i in (1, 41)]
    few, many = (
        best(lambda i=i: nb.kmeans(X, K, weights=whole[1], init=start, max_iter=i), 1) for i in runs
    )
    table, palette = nb.painter_of(whole, start)
    with cluster.workers() as client:
        client.gather(client.map(len, [start] * 2, pure=False))
        pair = best(lambda: client.gather(client.map(len, [start] * 2, pure=False)), 50)
    return {
        "read": best(lambda: photo(names[0])),
        "tally": best(lambda: nb.tally(images[0])),
        "merge, a colour": best(lambda: nb.merge(tallies)) / merged,
        "start": best(lambda: nb.start_of(whole, K, 0), 1),
        "first step, a colour": few / m,
        "step, a colour": max(many - few, 1e-9) / (runs[1] - runs[0]) / m,
        "messages": pair,
        "labels, a colour": best(lambda: nb.painter_of(whole, start), 1) / m,
        "paint": best(lambda: encode(table[nb.packed(images[0])], palette)),
        "bytes of a PNG": len(encode(table[nb.packed(images[0])], palette)),
        "bytes of a tally": 12 * merged / len(names),
    }


def paper(constants: dict[str, float]) -> list[tuple[str, str]]:
    """Return what a million photos of 0.3 MP cost on 100 workers with 10 Gbit/s."""
    c, n, workers, wire, m, t = constants, 1_000_000, 100, 10e9 / 8, 2**24, 300
    tallied, painted = (n / workers * (c["read"] + c[what]) for what in ("tally", "paint"))
    lowest = n * c["bytes of a tally"] / 12 * c["merge, a colour"] / workers
    upper = sum(n / 8**i * m / workers for i in range(3, 6)) * c["merge, a colour"]
    lloyd = m / workers * (c["first step, a colour"] + t * c["step, a colour"])
    wait = t * max(c["messages"] * workers / 2, 0)
    return [
        ("photos read and tallied, work of a worker", f"{tallied / 60:.1f} min"),
        ("merges of the lowest level, work of a worker", f"{lowest / 60:.1f} min"),
        ("merges of full tallies above it, work of a worker", f"{upper / 60:.1f} min at most"),
        ("the top of the tree, on one worker", f"{8 * m * c['merge, a colour']:.1f} s at most"),
        ("tallies that move, on a wire", f"{n * c['bytes of a tally'] / workers / wire:.0f} s"),
        (f"{t} iterations on all {m:,} colours, work of a worker", f"{lloyd:.1f} s"),
        (f"messages of {t} iterations, one after the other", f"{wait:.0f} s"),
        ("photos read again and painted, work of a worker", f"{painted / 60:.1f} min"),
        ("PNGs to the one process that saves", f"{n * c['bytes of a PNG'] / wire / 60:.1f} min"),
    ]


def rounds(constants: dict[str, float], workers: int) -> list[list[float]]:
    """Return each task's seconds: four photos for each worker, a tree, ten iterations, painting."""
    c, n, m = constants, 4 * workers, 2**20
    colours = c["bytes of a tally"] / 12
    levels = [[c["read"] + c["tally"]] * n]
    while len(levels[-1]) > 1:
        fan, tasks = min(8, len(levels[-1])), -(-len(levels[-1]) // 8)
        levels.append([fan * colours * c["merge, a colour"]] * tasks)
        colours = min(2 * colours, m)
    steps = [c["first step, a colour"]] + [c["step, a colour"]] * 9
    lloyd = [[m / workers * each] * workers for each in steps]
    return [
        *levels,
        [c["start"]],
        *lloyd,
        [m * c["labels, a colour"]],
        [c["read"] + c["paint"]] * n,
    ]
