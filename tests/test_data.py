"""Data: the right digits with and without a network, any photo, truth beside synthetic data."""

import functools
import gzip
import hashlib
import http.server
import io
import os
import socket
import struct
import subprocess
import sys
import threading
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from common import data

RNG = np.random.default_rng(0)


# MNIST -----------------------------------------------------------------------------------------


class MiniMnist:
    """A tiny MNIST on a local server, which the code under test takes for the real one."""

    def __init__(self, folder: Path, server: str):
        self.folder, self.server = folder, server
        self.files = {}
        for name, count in [("train", 40), ("t10k", 20)]:
            images = RNG.integers(0, 256, (count, 28, 28), dtype=np.uint8)
            labels = np.arange(count, dtype=np.uint8) % 10
            header = struct.pack(">IIII", 2051, count, 28, 28)
            self.files[f"{name}-images-idx3-ubyte"] = header + images.tobytes()
            self.files[f"{name}-labels-idx1-ubyte"] = (
                struct.pack(">II", 2049, count) + labels.tobytes()
            )
        for name, content in self.files.items():
            (folder / f"{name}.gz").write_bytes(gzip.compress(content, mtime=0))

    def settings(self) -> dict:
        """What stands in for torchvision's mirrors and checksums, and for ours."""
        archives = sorted(self.folder.glob("*.gz"))
        return {
            "mirrors": [self.server],
            "resources": [(a.name, hashlib.md5(a.read_bytes()).hexdigest()) for a in archives],
            "md5": {name: hashlib.md5(content).hexdigest() for name, content in self.files.items()},
        }


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture
def mini(tmp_path, monkeypatch):
    """Serve a tiny MNIST, and make an empty folder the data folder."""
    served = tmp_path / "served"
    served.mkdir()
    handler = functools.partial(Quiet, directory=served)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        mnist = MiniMnist(served, f"http://127.0.0.1:{server.server_port}/")
        use(monkeypatch, tmp_path / "data", **mnist.settings())
        yield mnist
        server.shutdown()


def use(monkeypatch, folder, mirrors, resources=None, md5=None):
    datasets = data._torchvision_datasets()
    monkeypatch.setattr(datasets.MNIST, "mirrors", mirrors)
    if resources:
        monkeypatch.setattr(datasets.MNIST, "resources", resources)
        monkeypatch.setattr(data, "MNIST_MD5", md5)
    monkeypatch.setenv("ML_DATA_DIR", str(folder))


@pytest.fixture
def no_network(tmp_path, monkeypatch):
    """An empty data folder, and mirrors at a port where nobody listens."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    use(monkeypatch, tmp_path / "data", [f"http://127.0.0.1:{port}/"])
    return tmp_path / "data"


def files_in(folder: Path) -> set[str]:
    return {str(p.relative_to(folder).as_posix()) for p in folder.rglob("*") if p.is_file()}


def test_downloads_checks_and_keeps_the_two_digits(mini, tmp_path):
    digits = data.mnist_pair((3, 4))
    assert digits.source == "mnist"
    assert digits.train_labels.tolist() == [3, 4] * 4
    assert digits.test_images.shape == (4, 28, 28)
    assert digits.test_images.dtype == np.uint8
    images = np.frombuffer(mini.files["train-images-idx3-ubyte"][16:], np.uint8)
    assert (digits.train_images[0] == images.reshape(-1, 28, 28)[3]).all()
    # Whole files, and nothing else: no archive, no temporary folder.
    assert files_in(tmp_path / "data") == {f"MNIST/raw/{name}" for name in mini.files}


def test_files_already_there_need_no_network(mini, monkeypatch):
    first = data.mnist_pair()

    def refuse(*args):
        raise AssertionError("the network was touched")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    again = data.mnist_pair()
    assert all((a == b).all() for a, b in zip(first[:4], again[:4], strict=True))


@pytest.mark.parametrize(
    "damage", [lambda b: b[:-5], lambda b: b[:20] + b"xx" + b[22:], lambda b: b""]
)
def test_damaged_file_is_named_removed_and_fetched_again(mini, tmp_path, capsys, damage):
    data.mnist_pair()
    path = tmp_path / "data" / "MNIST" / "raw" / "t10k-images-idx3-ubyte"
    path.write_bytes(damage(path.read_bytes()))
    data.mnist_pair()
    assert str(path) in capsys.readouterr().out
    assert path.read_bytes() == mini.files[path.name]


def test_wrong_bytes_from_the_server_are_never_kept(mini, tmp_path):
    name = "t10k-labels-idx1-ubyte.gz"
    (mini.folder / name).write_bytes(gzip.compress(b"something else"))
    with pytest.raises(RuntimeError, match="could not be downloaded"):
        data.mnist_pair(source="mnist")
    assert data.mnist_pair().source == "strokes"
    assert files_in(tmp_path / "data") == set()


def test_second_mirror_is_asked_when_the_first_stalls(mini, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as stalled:  # takes the call and says nothing
        monkeypatch.setattr(data, "TIMEOUT", 0.5)
        mirrors = [f"http://127.0.0.1:{stalled.getsockname()[1]}/", mini.server]
        monkeypatch.setattr(data._torchvision_datasets().MNIST, "mirrors", mirrors)
        assert data.mnist_pair().source == "mnist"
    assert socket.getdefaulttimeout() is None


def test_time_out_is_at_most_ten_seconds_without_data():
    assert data.TIMEOUT <= 10


def test_two_processes_that_download_at_once_both_get_it_whole(mini, tmp_path):
    script = (
        f"import sys; from common import data; s = {mini.settings()!r};"
        "m = data._torchvision_datasets().MNIST; m.mirrors = s['mirrors'];"
        "m.resources = s['resources']; data.MNIST_MD5 = s['md5'];"
        "d = data.mnist_pair(source='mnist'); print(int(d.train_images.astype(int).sum()))"
    )
    env = {**os.environ, "PYTHONPATH": str(data.ROOT), "TQDM_DISABLE": "1"}
    command = [sys.executable, "-c", script]
    both = [subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    sums = [process.communicate(timeout=120)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert sums[0] == sums[1] == f"{data.mnist_pair().train_images.astype(int).sum()}\n"
    assert files_in(tmp_path / "data") == {f"MNIST/raw/{name}" for name in mini.files}


def test_without_a_network_the_stand_in_says_so_in_one_line(no_network):
    digits = data.mnist_pair()
    assert digits.source == "strokes"
    assert "pen strokes" in digits.note
    assert "\n" not in digits.note
    assert digits.train_images.shape == (13_007, 28, 28)
    assert digits.test_images.shape == (2_163, 28, 28)
    assert set(digits.test_labels) == {1, 7}


def test_mnist_by_name_names_the_folder_and_the_way_to_fill_it(no_network):
    with pytest.raises(RuntimeError, match=r"(?s)MNIST.*could not be downloaded") as error:
        data.mnist_pair(source="mnist")
    assert str(no_network) in str(error.value)
    assert "ML_DATA_DIR" in str(error.value)


def test_a_data_folder_that_cannot_be_made_falls_back_too(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    use(monkeypatch, tmp_path / "file" / "data", ["http://127.0.0.1:9/"])
    assert data.mnist_pair().source == "strokes"


def test_other_digits_have_no_stand_in(no_network):
    with pytest.raises(RuntimeError, match="could not be downloaded"):
        data.mnist_pair((3, 5))
    with pytest.raises(ValueError, match="digits"):
        data.mnist_pair((3, 5), source="strokes")


@pytest.mark.parametrize(
    "digits", [(1, 1), (1,), (1, 7, 3), (1, 10), (-1, 7), (1.5, 7), ("1", "7"), (True, 7), 5, None]
)
def test_bad_digits_are_refused(digits):
    with pytest.raises(ValueError, match="digits"):
        data.mnist_pair(digits)


def test_bad_source_is_refused():
    with pytest.raises(ValueError, match="source"):
        data.mnist_pair(source="web")


# Stroke digits ---------------------------------------------------------------------------------


def test_stroke_digits_have_mnists_format():
    images, labels = data.stroke_digits(2_000, np.random.default_rng(3))
    assert images.dtype == np.uint8
    assert images.shape == (2_000, 28, 28)
    assert set(labels) == {1, 7}
    assert abs((labels == 7).mean() - 0.5) < 0.05
    ink = images.astype(float)
    for axis in (1, 2):
        profile = ink.sum(axis=axis)
        centre = profile @ np.arange(28) / profile.sum(axis=1)
        assert np.abs(centre - 13.5).max() < 1  # centred by mass
    tall = np.array([np.ptp(np.nonzero(image.max(axis=1) > 32)[0]) + 1 for image in images])
    wide = np.array([np.ptp(np.nonzero(image.max(axis=0) > 32)[0]) + 1 for image in images])
    longest = np.maximum(tall, wide)
    assert np.median(longest) == 20
    assert longest.max() <= 22
    assert (ink.reshape(2_000, -1).max(axis=1) > 180).mean() > 0.99  # ink is white
    assert ((ink > 20) & (ink < 235)).any(axis=(1, 2)).all()  # edges are anti-aliased


def test_stroke_digits_depend_on_the_generator_alone():
    a = data.stroke_digits(700, np.random.default_rng(5))
    b = data.stroke_digits(700, np.random.default_rng(5))
    c = data.stroke_digits(700, np.random.default_rng(6))
    assert (a[0] == b[0]).all()
    assert (a[1] == b[1]).all()
    assert (a[0] != c[0]).any()
    assert len(np.unique(a[0].reshape(700, -1), axis=0)) == 700


@pytest.mark.parametrize("n", [0, -1, 2.5, "3", None])
def test_stroke_digits_refuse_bad_sizes(n):
    with pytest.raises(ValueError, match="n:"):
        data.stroke_digits(n, RNG)


def test_one_stroke_digit_can_be_drawn():
    images, labels = data.stroke_digits(1, RNG)
    assert images.shape == (1, 28, 28)
    assert labels.shape == (1,)


# Photo -----------------------------------------------------------------------------------------


def save(path: Path, array: np.ndarray, mode: str | None = None, **options) -> Path:
    image = Image.fromarray(array)
    (image.convert(mode) if mode else image).save(path, **options)
    return path


COLOUR = np.zeros((4, 6, 3), np.uint8) + np.array([200, 100, 50], np.uint8)


def test_the_default_photo_is_there_without_a_download():
    image = data.photo()
    assert image.dtype == np.uint8
    assert image.ndim == 3
    assert image.shape[2] == 3
    assert len(np.unique(image.reshape(-1, 3), axis=0)) > 1_000


@pytest.mark.parametrize(
    ("mode", "suffix", "tolerance"),
    [
        ("RGB", "png", 0),
        ("P", "png", 30),
        ("RGBA", "png", 0),
        ("CMYK", "tif", 2),
    ],
)
def test_photo_reads_any_mode(tmp_path, mode, suffix, tolerance):
    image = data.photo(save(tmp_path / f"x.{suffix}", COLOUR, mode))
    assert image.shape == (4, 6, 3)
    assert np.abs(image.astype(int) - COLOUR).max() <= tolerance


@pytest.mark.parametrize("mode", ["1", "L", "LA", "I;16", "I", "F"])
def test_photo_reads_grey_of_any_depth(tmp_path, mode):
    grey = np.array([[0, 255], [255, 0]], np.uint8)
    if mode == "I;16":
        path = save(tmp_path / "x.png", grey.astype(np.uint16) * 257)
    else:
        path = save(tmp_path / "x.tif", grey, mode)
    assert (data.photo(path) == grey[:, :, None]).all()


def test_sixteen_bits_keep_their_shades(tmp_path):
    ramp = np.arange(0, 65536, 257, dtype=np.uint16).reshape(16, 16)
    image = data.photo(save(tmp_path / "x.png", ramp))
    assert (image[..., 0] == np.arange(256).reshape(16, 16)).all()


def test_transparency_is_laid_over_white(tmp_path):
    rgba = np.zeros((1, 3, 4), np.uint8)
    rgba[0, :, 3] = [0, 128, 255]  # black: absent, half, whole
    image = data.photo(save(tmp_path / "x.png", rgba))
    assert image[0, :, 0].tolist() == [255, 127, 0]


def test_sixteen_bits_with_a_transparent_value_are_laid_over_white(tmp_path):
    grey = np.array([[0, 257, 65535]], np.uint16)
    image = data.photo(save(tmp_path / "x.png", grey, transparency=257))
    assert image[0, :, 0].tolist() == [0, 255, 255]


@pytest.mark.parametrize(
    ("values", "expected"),
    [([0.0, 0.5, 1.0], [0, 128, 255]), ([-2.0, 0.0, 2.0], [0, 128, 255]), ([1e6] * 3, [0] * 3)],
)
def test_floats_are_scaled_by_their_range(tmp_path, values, expected):
    image = data.photo(save(tmp_path / "x.tif", np.array([values], np.float32)))
    assert image[0, :, 0].tolist() == expected


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_floats_that_are_not_finite_are_refused_by_name(tmp_path, value):
    path = save(tmp_path / "bad.tif", np.array([[0.5, value]], np.float32))
    with pytest.raises(ValueError, match=r"bad\.tif cannot be decoded \(it holds NaN"):
        data.photo(path)


def test_a_broken_header_is_refused_by_name(tmp_path):
    path = save(tmp_path / "cut.png", COLOUR)
    content = bytearray(path.read_bytes())
    content[11] = 5  # the length of the header chunk
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"cut\.png"):
        data.photo(path)


def test_transparent_palette_is_laid_over_white(tmp_path):
    palette = Image.fromarray(COLOUR).convert("P")
    palette.save(tmp_path / "x.png", transparency=palette.getpixel((0, 0)))
    assert (data.photo(tmp_path / "x.png") == 255).all()


def test_exif_turns_the_photo_upright(tmp_path):
    image = Image.fromarray(COLOUR)
    exif = image.getexif()
    exif[0x0112] = 6  # turned by 90°
    image.save(tmp_path / "x.jpg", exif=exif)
    assert data.photo(tmp_path / "x.jpg").shape == (6, 4, 3)


def test_an_animation_gives_its_first_frame(tmp_path):
    frames = [Image.new("RGB", (3, 2), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / "x.gif", save_all=True, append_images=frames[1:])
    assert data.photo(tmp_path / "x.gif")[0, 0].tolist() == [255, 0, 0]


def test_one_pixel_is_a_photo(tmp_path):
    assert data.photo(save(tmp_path / "x.png", COLOUR[:1, :1])).tolist() == [[[200, 100, 50]]]


@pytest.mark.parametrize(
    ("content", "why"),
    [(b"", "is empty"), (b"not a picture at all", "not an image")],
)
def test_photo_says_which_file_is_bad_and_why(tmp_path, content, why):
    path = tmp_path / "bad.png"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=why) as error:
        data.photo(path)
    assert "bad.png" in str(error.value)


@pytest.mark.parametrize("suffix", ["png", "jpg", "gif"])
def test_a_truncated_photo_is_refused(tmp_path, suffix):
    noise = np.random.default_rng(1).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    path = save(tmp_path / f"cut.{suffix}", noise)
    path.write_bytes(path.read_bytes()[:800])
    with pytest.raises(ValueError, match=r"cut\..*(cannot be decoded|not an image)"):
        data.photo(path)


@pytest.mark.parametrize(("width", "height"), [(10_000, 5_001), (20_000, 20_000)])
def test_too_many_pixels_are_refused_before_decoding(tmp_path, width, height):
    path = tmp_path / "large.png"
    Image.new("1", (width, height)).save(path)
    with pytest.raises(ValueError, match=r"large\.png has .*pixels"):
        data.photo(path)


def test_a_missing_photo_and_a_folder_are_told_apart(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        data.photo(tmp_path / "nowhere.png")
    with pytest.raises(ValueError, match="folder"):
        data.photo(tmp_path)


# Ratings ---------------------------------------------------------------------------------------

MINI = [("7", "3", "5"), ("2", "1", "3"), ("7", "1", "1"), ("2", "2", "4")]  # user, item, rating
TITLES = {"1": "Café, Le (1995)", "2": "Twins (1990)", "3": "Twins (1990)"}


def movielens_zip(rows=MINI, titles=TITLES, leave_out=()) -> bytes:
    """Return an archive as GroupLens packs it."""
    files = {
        "u.data": "".join("\t".join([*row, "881250949"]) + "\n" for row in rows).encode(),
        "u.item": "".join(f"{i}|{t}|01-Jan-1995||url|0|1\n" for i, t in titles.items()).encode(
            "latin-1"
        ),
    }
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in files.items():
            if name not in leave_out:  # ZipInfo: no date, so that the bytes are always the same
                archive.writestr(zipfile.ZipInfo(f"ml-100k/{name}"), content, zipfile.ZIP_DEFLATED)
    return packed.getvalue()


def use_movielens(monkeypatch, folder, url, archive):
    monkeypatch.setattr(data, "MOVIELENS_URL", url)
    monkeypatch.setattr(data, "MOVIELENS_MD5", hashlib.md5(archive).hexdigest())
    monkeypatch.setenv("ML_DATA_DIR", str(folder))


@pytest.fixture
def lens(tmp_path, monkeypatch):
    """Serve a tiny MovieLens, and make an empty folder the data folder; give the served file."""
    served = tmp_path / "served"
    served.mkdir()
    (served / "ml-100k.zip").write_bytes(movielens_zip())
    handler = functools.partial(Quiet, directory=served)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/ml-100k.zip"
        use_movielens(monkeypatch, tmp_path / "data", url, movielens_zip())
        yield served / "ml-100k.zip"
        server.shutdown()


def as_named(found) -> list[tuple[str, str, float]]:
    users, items = found.user_names[found.users], found.item_names[found.items]
    return list(zip(users.tolist(), items.tolist(), found.ratings.tolist(), strict=True))


def test_movielens_is_downloaded_checked_and_read(lens, tmp_path):
    found = data.movielens_100k()
    assert as_named(found) == [(u, TITLES[i], float(r)) for u, i, r in MINI]
    assert found.shape == (2, 3)  # two films of one title stay two
    assert found.users.tolist() == [0, 1, 0, 1]
    assert found.items.tolist() == [0, 1, 1, 2]
    assert (found.users.dtype, found.ratings.dtype) == (np.int64, np.float64)
    assert files_in(tmp_path / "data") == {"ml-100k.zip"}


def test_movielens_already_there_needs_no_network(lens, tmp_path):
    data.movielens_100k()
    lens.unlink()
    for download in (True, False):
        assert data.movielens_100k(download=download).shape == (2, 3)


def test_damaged_movielens_is_named_removed_and_fetched_again(lens, tmp_path, capsys):
    archive = tmp_path / "data" / "ml-100k.zip"
    archive.parent.mkdir()
    archive.write_bytes(movielens_zip()[:100])
    assert data.movielens_100k(download=False, required=False) is None
    assert archive.exists()  # without the network nothing is gained by removing it
    assert data.movielens_100k().shape == (2, 3)
    assert capsys.readouterr().out == f"{archive} is damaged: removed, to be downloaded again.\n"


@pytest.mark.parametrize("content", [b"", b"not found", movielens_zip()[:-1], movielens_zip([])])
def test_wrong_bytes_of_movielens_are_never_kept(lens, tmp_path, content):
    lens.write_bytes(content)
    with pytest.raises(RuntimeError, match="wrong checksum"):
        data.movielens_100k()
    assert data.movielens_100k(required=False) is None
    assert files_in(tmp_path / "data") == set()


class Broken(http.server.BaseHTTPRequestHandler):
    """Promises more than it sends; then hangs up, or keeps the line open in silence."""

    stall = False
    over = threading.Event()

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "5000")
        self.end_headers()
        self.wfile.write(movielens_zip()[:50])
        self.wfile.flush()
        if self.stall:
            self.over.wait(60)

    def log_message(self, *args):
        pass


def test_a_server_that_does_not_speak_http_is_explained_too(tmp_path, monkeypatch):
    def answer():
        line, _ = server.accept()
        with line:
            line.recv(1000)
            line.sendall(b"what?\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=answer, daemon=True).start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}/ml-100k.zip"
        use_movielens(monkeypatch, tmp_path / "data", url, movielens_zip())
        with pytest.raises(RuntimeError, match="Please fetch"):
            data.movielens_100k()


@pytest.mark.parametrize("stall", [False, True])
def test_movielens_from_a_server_that_breaks_off_or_stalls(tmp_path, monkeypatch, stall):
    handler = type("Handler", (Broken,), {"stall": stall, "over": threading.Event()})
    monkeypatch.setattr(data, "TIMEOUT", 0.5)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/ml-100k.zip"
        use_movielens(monkeypatch, tmp_path / "data", url, movielens_zip())
        started = time.perf_counter()
        with pytest.raises(RuntimeError, match="imed out" if stall else "was not downloaded"):
            data.movielens_100k()
        assert time.perf_counter() - started < 20  # a busy machine is slow, but not for a minute
        handler.over.set()
        server.shutdown()
    assert files_in(tmp_path / "data") == set()
    assert socket.getdefaulttimeout() is None


def test_without_a_network_movielens_says_how_to_get_it_or_nothing(
    tmp_path, monkeypatch, capsys, no_network
):
    port = data._torchvision_datasets().MNIST.mirrors[0]
    use_movielens(monkeypatch, tmp_path / "data", port, b"")
    with pytest.raises(RuntimeError, match="Please fetch") as error:
        data.movielens_100k()
    for part in (str(tmp_path / "data"), port, "ML_DATA_DIR", "movielens_100k(path)"):
        assert part in str(error.value)
    assert "\n" not in str(error.value)
    assert data.movielens_100k(required=False) is None
    assert capsys.readouterr() == ("", "")


def test_without_leave_movielens_does_not_touch_the_network(lens, monkeypatch):
    def refuse(*args):
        raise AssertionError("the network was touched")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    assert data.movielens_100k(download=False, required=False) is None
    with pytest.raises(RuntimeError, match="Please fetch"):
        data.movielens_100k(download=False)


def test_a_folder_for_movielens_that_cannot_be_made_is_explained(lens, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("ML_DATA_DIR", str(tmp_path / "file" / "data"))
    with pytest.raises(RuntimeError, match="Please fetch"):
        data.movielens_100k()
    assert data.movielens_100k(required=False) is None


def test_a_folder_for_movielens_that_cannot_be_written_is_explained(lens, tmp_path, monkeypatch):
    def refuse(*args, **kwargs):
        raise PermissionError("read-only")

    monkeypatch.setattr(data.tempfile, "TemporaryDirectory", refuse)
    with pytest.raises(RuntimeError, match="PermissionError: read-only"):
        data.movielens_100k()


def test_two_processes_that_download_movielens_at_once_both_get_it_whole(lens, tmp_path):
    script = (
        f"from common import data; data.MOVIELENS_URL = {data.MOVIELENS_URL!r};"
        f"data.MOVIELENS_MD5 = {data.MOVIELENS_MD5!r}; print(data.movielens_100k().shape)"
    )
    env = {**os.environ, "PYTHONPATH": str(data.ROOT)}
    command = [sys.executable, "-c", script]
    both = [subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert [process.communicate(timeout=60)[0] for process in both] == ["(2, 3)\n"] * 2
    assert files_in(tmp_path / "data") == {"ml-100k.zip"}


def test_the_address_and_checksum_are_those_of_grouplens():
    assert data.MOVIELENS_URL == "https://files.grouplens.org/datasets/movielens/ml-100k.zip"
    assert data.MOVIELENS_MD5 == "0e33842e24a9c977be4e0107933c0723"


def test_an_archive_like_movielens_is_read_from_anywhere(tmp_path):
    (tmp_path / "copy.zip").write_bytes(movielens_zip())
    assert data.movielens_100k(tmp_path / "copy.zip").item_names.tolist() == [
        TITLES["3"],
        TITLES["1"],
        TITLES["2"],
    ]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (movielens_zip()[:-30], "not an archive"),
        (b"", "not an archive"),
        (movielens_zip(leave_out="u.data"), "not an archive.*u.data"),
        (movielens_zip(leave_out="u.item"), "not an archive.*u.item"),
        (movielens_zip(rows=[]), "u.data holds no rating"),
        (movielens_zip(rows=[*MINI, ("1", "1", "x")]), "u.data, line 5: .*'x'"),
        (movielens_zip(rows=[*MINI, ("1", "9", "5")]), "u.item: .* item 9"),
    ],
)
def test_an_archive_unlike_movielens_is_refused(tmp_path, content, why):
    (tmp_path / "odd.zip").write_bytes(content)
    with pytest.raises(ValueError, match=rf"path: .*odd\.zip.*{why}"):
        data.movielens_100k(tmp_path / "odd.zip")


def own(tmp_path, text, encoding="utf-8"):
    path = tmp_path / "own.csv"
    path.write_bytes(text.encode(encoding))
    return path


OWN = [("ann", "tea", 4.5), ("7", "a, b", -1.0), ("ann", "7", 0.0)]


@pytest.mark.parametrize(
    "text",
    [
        'ann,tea,4.5\n7,"a, b",-1\nann,7,0\n',
        'user,item,rating\nann,tea,4.5\n7,"a, b",-1\nann,7,0',
        "userId;movieId;rating;timestamp\r\nann;tea;4.5;1\r\n7;a, b;-1;2\r\n\r\nann;7;0;3\r\n",
        "Rating\tItem ID\tmood\tUser ID\n4.5\ttea\t\tann\n-1\ta, b\tx\t7\n0\t7\t\tann\n",
        "\n ann | tea | 4.5 \n7|a, b|-1e0\n \nann|7|0|what follows is ignored\n",
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_own_ratings_of_several_shapes(tmp_path, text, encoding):
    assert as_named(data.movielens_100k(own(tmp_path, text, encoding))) == OWN


@pytest.mark.parametrize("columns", [("who", "what", "stars"), (3, 1, 0), [3, 1, 0]])
def test_columns_of_own_ratings_can_be_named_or_counted(tmp_path, columns):
    text = 'stars,what,when,who\n4.5,tea,1,ann\n-1,"a, b",2,7\n0,7,3,ann\n'
    assert as_named(data.movielens_100k(str(own(tmp_path, text)), columns=columns)) == OWN
    if columns[0] == 3:
        headless = own(tmp_path, text.split("\n", 1)[1])
        assert as_named(data.movielens_100k(headless, columns=columns)) == OWN


@given(
    st.dictionaries(
        st.tuples(*2 * [st.from_regex(r"[a-zäöü0-9 ,;\"']*[a-z0-9]", fullmatch=True)]),
        st.floats(allow_nan=False, allow_infinity=False),
        min_size=1,
    )
)
def test_own_ratings_come_back_as_written(tmp_path_factory, table):
    rows = [(u.strip(), i.strip(), r) for (u, i), r in table.items()]
    if len({row[:2] for row in rows}) < len(rows):
        return
    path = tmp_path_factory.mktemp("own") / "own.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = data.csv.writer(file)
        writer.writerow(["user", "item", "rating"])
        writer.writerows(rows)
    found = data.movielens_100k(path)
    assert as_named(found) == rows
    assert len(set(found.user_names)) == found.shape[0]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "it is empty"),
        ("\n \n", "it is empty"),
        ("user,item,rating\n", "holds no rating"),
        ("ann,tea\n", "first line is 'ann,tea'"),
        ("ann,tea,4\nbob,tea\n", "line 2: expected at least 3 columns, got 2"),
        ("ann,tea,4\n\nbob,tea,good\n", "line 3: .*'good'"),
        ("ann,tea,4\nbob,tea,\n", "line 2: .*''"),
        ("ann,tea,4\nbob,tea,nan\n", "line 2: .*'nan'"),
        ("ann,tea,NaN\n", "line 1: .*'NaN'"),
        ("ann,tea,4\nbob,tea,-inf\n", "line 2: .*'-inf'"),
        ("ann,tea,4\n,tea,4\n", "line 2: expected a user"),
        ("ann,tea,4\nbob, ,4\n", "line 2: expected an item"),
        ("ann,tea,4\nbob,tea,4\nann,tea,5\n", "line 3: user 'ann' has rated 'tea'.* line 1"),
        ("a,b,c\nann,tea,4\n", r"line 1: .*columns="),
        ("user,user_id,rating\nann,tea,4\n", r"line 1: .*columns="),
        ('ann,tea,4\nbob,"tea,4\n', "line 2: unexpected end"),
    ],
)
def test_bad_own_ratings_are_refused_by_line(tmp_path, text, why):
    with pytest.raises(ValueError, match=rf"path: .*own\.csv.*({why})"):
        data.movielens_100k(own(tmp_path, text))


def test_own_ratings_that_are_no_text_or_no_file_are_refused(tmp_path):
    (tmp_path / "own.csv").write_bytes(b"\xff\xfe\x00,1,2\n")
    with pytest.raises(ValueError, match=r"path: .*UTF-8"):
        data.movielens_100k(tmp_path / "own.csv")
    with pytest.raises(FileNotFoundError, match=r"path: .*nowhere"):
        data.movielens_100k(tmp_path / "nowhere.csv", required=False)
    with pytest.raises(ValueError, match=r"path: .*folder"):
        data.movielens_100k(tmp_path)
    with pytest.raises(ValueError, match="path"):
        data.movielens_100k(3)


@pytest.mark.parametrize(
    "columns",
    [
        (0, 1),
        (0, 1, 1),
        (0, 1, -1),
        (0, 1, 2.0),
        ("a", "b", 2),
        "abc",
        3,
        (0, 1, True),
        (0, 1, 3),
        ("user", "item", "x"),
    ],
)
def test_bad_columns_are_refused(tmp_path, columns):
    with pytest.raises(ValueError, match=r"^columns: "):
        data.movielens_100k(own(tmp_path, "user,item,rating\nann,tea,4\n"), columns=columns)


def test_columns_without_a_path_are_refused():
    with pytest.raises(ValueError, match="columns"):
        data.movielens_100k(columns=(0, 1, 2))


# Synthetic data --------------------------------------------------------------------------------


@given(n=st.integers(1, 50), d=st.integers(1, 20), seed=st.integers(0, 10_000))
def test_linear_data_is_its_truth_where_there_is_no_noise(n, d, seed):
    X, y, w, b, noise = data.linear_data(n, d, 0.0, np.random.default_rng(seed))
    assert X.shape == (n, d)
    assert y.shape == (n,)
    assert noise == 0
    assert np.linalg.norm(w) == pytest.approx(1)
    np.testing.assert_allclose(y, X @ w + b, rtol=0, atol=1e-12)


def test_linear_data_has_the_noise_it_says():
    X, y, w, b, noise = data.linear_data(20_000, 3, 0.5, np.random.default_rng(0))
    assert noise == 0.5
    assert (y - X @ w - b).std() == pytest.approx(0.5, rel=0.03)
    assert (X @ w).std() == pytest.approx(1, rel=0.03)


@given(
    n=st.integers(1, 20),
    m=st.integers(1, 20),
    observed=st.floats(0.001, 1),
    seed=st.integers(0, 10_000),
)
def test_ratings_are_entries_of_the_noisy_matrix_each_once(n, m, observed, seed):
    rank = min(n, m, 3)
    r = data.low_rank_ratings(n, m, rank, 0.1, observed, np.random.default_rng(seed))
    assert len(r.users) == max(1, round(observed * n * m))
    assert len(set(zip(r.users, r.items, strict=True))) == len(r.users)
    assert (r.ratings == r.noisy[r.users, r.items]).all()
    assert np.linalg.matrix_rank(r.truth) <= rank


def test_ratings_have_the_noise_and_the_scale_they_say():
    r = data.low_rank_ratings(300, 200, 5, 0.1, 0.2, np.random.default_rng(0))
    assert r.truth.std() == pytest.approx(1)
    assert (r.noisy - r.truth).std() == pytest.approx(0.1, rel=0.02)
    assert np.linalg.matrix_rank(r.truth) == 5


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n", 0),
        ("n", 2.0),
        ("d", -1),
        ("noise", -0.1),
        ("noise", np.nan),
        ("noise", np.inf),
        ("noise", "x"),
        ("d", True),
    ],
)
def test_linear_data_names_the_bad_argument(name, value):
    arguments = {"n": 5, "d": 2, "noise": 0.1, "rng": RNG} | {name: value}
    with pytest.raises(ValueError, match=f"{name}:"):
        data.linear_data(**arguments)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n_users", 0),
        ("n_items", 0),
        ("rank", 0),
        ("rank", 6),
        ("noise", -1.0),
        ("observed", 0.0),
        ("observed", 1.1),
        ("observed", np.nan),
        ("observed", "x"),
    ],
)
def test_low_rank_ratings_name_the_bad_argument(name, value):
    arguments = {"n_users": 5, "n_items": 9, "rank": 2, "noise": 0.1, "observed": 0.5, "rng": RNG}
    with pytest.raises(ValueError, match=f"{name}:"):
        data.low_rank_ratings(**arguments | {name: value})
