"""MNIST is read, fetched once, or replaced, and the note says which and why."""

import functools
import gzip
import hashlib
import http.server
import os
import socket
import struct
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from common import digits

RNG = np.random.default_rng(0)


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
    datasets = digits._torchvision_datasets()
    monkeypatch.setattr(datasets.MNIST, "mirrors", mirrors)
    if resources:
        monkeypatch.setattr(datasets.MNIST, "resources", resources)
        monkeypatch.setattr(digits, "MNIST_MD5", md5)
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
    digits = digits.mnist_pair((3, 4))
    assert digits.source == "mnist"
    assert digits.train_labels.tolist() == [3, 4] * 4
    assert digits.test_images.shape == (4, 28, 28)
    assert digits.test_images.dtype == np.uint8
    images = np.frombuffer(mini.files["train-images-idx3-ubyte"][16:], np.uint8)
    assert (digits.train_images[0] == images.reshape(-1, 28, 28)[3]).all()
    # Whole files, and nothing else: no archive, no temporary folder.
    assert files_in(tmp_path / "data") == {f"MNIST/raw/{name}" for name in mini.files}


def test_files_already_there_need_no_network(mini, monkeypatch):
    first = digits.mnist_pair()

    def refuse(*args):
        raise AssertionError("the network was touched")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    again = digits.mnist_pair()
    assert all((a == b).all() for a, b in zip(first[:4], again[:4], strict=True))


@pytest.mark.parametrize(
    "damage", [lambda b: b[:-5], lambda b: b[:20] + b"xx" + b[22:], lambda b: b""]
)
def test_damaged_file_is_named_removed_and_fetched_again(mini, tmp_path, capsys, damage):
    digits.mnist_pair()
    path = tmp_path / "data" / "MNIST" / "raw" / "t10k-images-idx3-ubyte"
    path.write_bytes(damage(path.read_bytes()))
    digits.mnist_pair()
    assert str(path) in capsys.readouterr().out
    assert path.read_bytes() == mini.files[path.name]


def test_wrong_bytes_from_the_server_are_never_kept(mini, tmp_path):
    name = "t10k-labels-idx1-ubyte.gz"
    (mini.folder / name).write_bytes(gzip.compress(b"something else"))
    with pytest.raises(RuntimeError, match="could not be downloaded"):
        digits.mnist_pair(source="mnist")
    assert digits.mnist_pair().source == "strokes"
    assert files_in(tmp_path / "data") == set()


def test_second_mirror_is_asked_when_the_first_stalls(mini, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as stalled:  # takes the call and says nothing
        monkeypatch.setattr(data, "TIMEOUT", 0.5)
        mirrors = [f"http://127.0.0.1:{stalled.getsockname()[1]}/", mini.server]
        monkeypatch.setattr(digits._torchvision_datasets().MNIST, "mirrors", mirrors)
        assert digits.mnist_pair().source == "mnist"
    assert socket.getdefaulttimeout() is None


def test_time_out_is_at_most_ten_seconds_without_data():
    assert digits.TIMEOUT <= 10


def test_two_processes_that_download_at_once_both_get_it_whole(mini, tmp_path):
    script = (
        f"import sys; from common import data; s = {mini.settings()!r};"
        "m = digits._torchvision_datasets().MNIST; m.mirrors = s['mirrors'];"
        "m.resources = s['resources']; digits.MNIST_MD5 = s['md5'];"
        "d = digits.mnist_pair(source='mnist'); print(int(d.train_images.astype(int).sum()))"
    )
    env = {**os.environ, "PYTHONPATH": str(digits.ROOT), "TQDM_DISABLE": "1"}
    command = [sys.executable, "-c", script]
    both = [subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    sums = [process.communicate(timeout=120)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert sums[0] == sums[1] == f"{digits.mnist_pair().train_images.astype(int).sum()}\n"
    assert files_in(tmp_path / "data") == {f"MNIST/raw/{name}" for name in mini.files}


def test_without_a_network_the_stand_in_says_so_in_one_line(no_network):
    digits = digits.mnist_pair()
    assert digits.source == "strokes"
    assert "pen strokes" in digits.note
    assert "\n" not in digits.note
    assert digits.train_images.shape == (13_007, 28, 28)
    assert digits.test_images.shape == (2_163, 28, 28)
    assert set(digits.test_labels) == {1, 7}


def test_mnist_by_name_names_the_folder_and_the_way_to_fill_it(no_network):
    with pytest.raises(RuntimeError, match=r"(?s)MNIST.*could not be downloaded") as error:
        digits.mnist_pair(source="mnist")
    assert str(no_network) in str(error.value)
    assert "ML_DATA_DIR" in str(error.value)


def test_a_data_folder_that_cannot_be_made_falls_back_too(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    use(monkeypatch, tmp_path / "file" / "data", ["http://127.0.0.1:9/"])
    assert digits.mnist_pair().source == "strokes"


def test_other_digits_have_no_stand_in(no_network):
    with pytest.raises(RuntimeError, match="could not be downloaded"):
        digits.mnist_pair((3, 5))
    with pytest.raises(ValueError, match="digits"):
        digits.mnist_pair((3, 5), source="strokes")


@pytest.mark.parametrize(
    "digits", [(1, 1), (1,), (1, 7, 3), (1, 10), (-1, 7), (1.5, 7), ("1", "7"), (True, 7), 5, None]
)
def test_bad_digits_are_refused(digits):
    with pytest.raises(ValueError, match="digits"):
        digits.mnist_pair(digits)


def test_bad_source_is_refused():
    with pytest.raises(ValueError, match="source"):
        digits.mnist_pair(source="web")
