"""MNIST is read, fetched once, or replaced, and the note says which and why."""

import functools
import gzip
import hashlib
import http.client
import http.server
import os
import socket
import ssl
import struct
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from common import digits, environment

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

    def md5(self) -> dict:
        """What stands in for the checksums."""
        return {name: hashlib.md5(content).hexdigest() for name, content in self.files.items()}


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture
def mini(tmp_path, monkeypatch, folders):
    """Serve a tiny MNIST, and make an empty folder the data folder."""
    served = tmp_path / "served"
    served.mkdir()
    handler = functools.partial(Quiet, directory=served)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        mnist = MiniMnist(served, f"http://127.0.0.1:{server.server_port}/")
        monkeypatch.setattr(digits, "MIRRORS", [mnist.server])
        monkeypatch.setattr(digits, "MNIST_MD5", mnist.md5())
        yield mnist
        server.shutdown()


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """The reader's data folder, which ML_DATA_DIR names, and the project's; neither exists."""
    monkeypatch.setattr(environment, "ROOT", tmp_path / "project")
    monkeypatch.setenv("ML_DATA_DIR", str(tmp_path / "data"))
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return tmp_path / "data", tmp_path / "project" / "data"


@pytest.fixture
def no_network(monkeypatch, folders):
    """Empty data folders, and a mirror at a port where nobody listens."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    monkeypatch.setattr(digits, "MIRRORS", [f"http://127.0.0.1:{port}/"])
    return folders[0]


def files_in(folder: Path) -> set[str]:
    return {str(p.relative_to(folder).as_posix()) for p in folder.rglob("*") if p.is_file()}


def whole(mini: MiniMnist) -> set[str]:
    return {f"MNIST/raw/{name}" for name in mini.files}


def put(folder: Path, contents: dict[str, bytes]) -> None:
    raw = folder / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for name, content in contents.items():
        (raw / name).write_bytes(content)


def test_downloads_checks_and_keeps_the_two_digits(mini, folders):
    pair = digits.mnist_pair((3, 4))
    assert pair.source == "mnist"
    assert pair.note == "Digits: MNIST, 28 × 28 pixels, handwritten."
    assert pair.train_labels.tolist() == [3, 4] * 4
    assert pair.train_labels.dtype == np.int64
    assert pair.test_images.shape == (4, 28, 28)
    assert pair.test_images.dtype == np.uint8
    images = np.frombuffer(mini.files["train-images-idx3-ubyte"][16:], np.uint8)
    assert (pair.train_images[0] == images.reshape(-1, 28, 28)[3]).all()
    pair.train_images[0] = 0  # the arrays are the reader's own
    # Whole files, and nothing else: no archive, no temporary folder.
    assert files_in(folders[0]) == whole(mini)
    assert not folders[1].exists()


def refuse(*args):
    raise AssertionError("the network was touched")


def test_files_already_there_need_no_network(mini, monkeypatch):
    first = digits.mnist_pair()
    monkeypatch.setattr(socket.socket, "connect", refuse)
    again = digits.mnist_pair()
    assert all((a == b).all() for a, b in zip(first[:4], again[:4], strict=True))


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_files_are_read_compressed_or_not_wherever_they_lie(mini, folders, monkeypatch, pack):
    end = "" if pack is bytes else ".gz"
    contents = [(f"{name}{end}", pack(content)) for name, content in mini.files.items()]
    put(folders[0], dict(contents[:1]))
    put(folders[1], dict(contents[1:]))
    monkeypatch.setattr(socket.socket, "connect", refuse)
    assert digits.mnist_pair((3, 4)).test_labels.tolist() == [3, 4] * 2


def test_only_the_missing_files_are_fetched(mini, folders):
    contents = list(mini.files.items())
    put(folders[0], dict(contents[:3]))
    for name, _ in contents[:3]:
        (mini.folder / f"{name}.gz").unlink()
    assert digits.mnist_pair().source == "mnist"
    assert files_in(folders[0]) == whole(mini)


DAMAGES = [
    lambda b: b[:-5],
    lambda b: b[:20] + b"xx" + b[22:],
    lambda b: b"",
    lambda b: bytes(len(b)),
    lambda b: gzip.compress(b)[:-20],
]


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("end", ["", ".gz"])
def test_damaged_file_stays_and_is_named_and_good_ones_go_to_the_project(
    mini, folders, damage, end
):
    contents = {name: content for name, content in mini.files.items()}
    bad = "t10k-images-idx3-ubyte"
    contents[bad + end] = damage(contents.pop(bad))
    put(folders[0], contents)
    for _ in range(2):
        pair = digits.mnist_pair()
        assert pair.source == "mnist"
        assert str(folders[0] / "MNIST" / "raw" / (bad + end)) in pair.note
        assert "\n" not in pair.note
    for name, content in contents.items():
        assert (folders[0] / "MNIST" / "raw" / name).read_bytes() == content
    assert files_in(folders[0]) == {f"MNIST/raw/{name}" for name in contents}
    assert (folders[1] / "MNIST" / "raw" / bad).read_bytes() == mini.files[bad]
    assert files_in(folders[1]) == {f"MNIST/raw/{bad}"}


def fashion(mini) -> dict[str, bytes]:
    return {name: content[:16] + content[16:][::-1] for name, content in mini.files.items()}


def test_another_data_set_under_the_same_names_stays_and_mnist_goes_to_the_project(mini, folders):
    put(folders[0], fashion(mini))
    pair = digits.mnist_pair((3, 4))
    assert pair.train_labels.tolist() == [3, 4] * 4
    assert all(str(folders[0] / "MNIST" / "raw" / name) in pair.note for name in mini.files)
    raw = folders[0] / "MNIST" / "raw"
    assert {path.name: path.read_bytes() for path in raw.iterdir()} == fashion(mini)
    assert files_in(folders[1]) == whole(mini)


def test_without_a_network_another_data_set_stays_too_and_the_note_names_it(no_network):
    put(no_network, {"train-images-idx3-ubyte": b"other"})
    pair = digits.mnist_pair()
    assert pair.source == "strokes"
    assert str(no_network / "MNIST" / "raw" / "train-images-idx3-ubyte") in pair.note
    assert (no_network / "MNIST" / "raw" / "train-images-idx3-ubyte").read_bytes() == b"other"


def test_where_both_folders_hold_another_data_set_mnist_is_not_kept(mini, folders):
    for folder in folders:
        put(folder, fashion(mini))
    assert digits.mnist_pair().source == "mnist"
    for folder in folders:
        raw = folder / "MNIST" / "raw"
        assert {path.name: path.read_bytes() for path in raw.iterdir()} == fashion(mini)


def test_a_link_that_leads_nowhere_is_not_replaced(mini, folders, tmp_path):
    put(folders[0], {})
    link = folders[0] / "MNIST" / "raw" / "train-images-idx3-ubyte"
    link.symlink_to(tmp_path / "a disk that is not connected")
    assert digits.mnist_pair().source == "mnist"
    assert link.is_symlink()
    assert files_in(folders[1]) == whole(mini)


def test_a_folder_that_cannot_be_made_or_written_gives_way_to_the_projects(mini, folders):
    folders[0].write_text("in the way")
    assert digits.mnist_pair().source == "mnist"
    assert folders[0].read_text() == "in the way"
    assert files_in(folders[1]) == whole(mini)


def test_where_nothing_can_be_kept_mnist_is_used_nevertheless(mini, folders, monkeypatch):
    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    assert digits.mnist_pair().source == "mnist"
    assert files_in(folders[0]) == files_in(folders[1]) == set()


def test_wrong_bytes_from_the_server_are_never_kept(mini, folders):
    name = "t10k-labels-idx1-ubyte.gz"
    (mini.folder / name).write_bytes(gzip.compress(b"something else"))
    with pytest.raises(RuntimeError, match=r"could not be downloaded.*wrong checksum"):
        digits.mnist_pair(source="mnist")
    assert digits.mnist_pair().source == "strokes"
    assert not folders[0].exists()


@pytest.mark.parametrize(
    "content",
    [
        b"<html>Please log in to this network</html>",
        b"",
        gzip.compress(bytes(10**6))[:500],
        gzip.compress(bytes(3 * 10**6)),  # more than was to be expected
        b"\x1f\x8b broken",
        bytes(3 * 10**6),
    ],
)
def test_whatever_a_server_sends_the_next_mirror_is_asked(mini, tmp_path, monkeypatch, content):
    monkeypatch.setattr(digits, "LARGEST", 10**6)
    other = tmp_path / "other"
    other.mkdir()
    for name in mini.files:
        (other / f"{name}.gz").write_bytes(content)
    handler = functools.partial(Quiet, directory=other)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        mirrors = [f"http://127.0.0.1:{server.server_port}/", mini.server]
        monkeypatch.setattr(digits, "MIRRORS", mirrors)
        assert digits.mnist_pair().source == "mnist"
        server.shutdown()


def test_second_mirror_is_asked_when_the_first_stalls(mini, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as stalled:  # takes the call and says nothing
        monkeypatch.setattr(digits, "TIMEOUT", 0.5)
        mirrors = [f"http://127.0.0.1:{stalled.getsockname()[1]}/", mini.server]
        monkeypatch.setattr(digits, "MIRRORS", mirrors)
        assert digits.mnist_pair().source == "mnist"
    assert socket.getdefaulttimeout() is None


def test_time_out_is_at_most_ten_seconds_without_data():
    assert digits.TIMEOUT <= 10


def test_two_processes_that_download_at_once_both_get_it_whole(mini, folders):
    script = (
        "import pathlib; from common import digits, environment;"
        f"environment.ROOT = pathlib.Path({str(folders[1].parent)!r});"
        f"digits.MIRRORS = {[mini.server]!r}; digits.MNIST_MD5 = {mini.md5()!r};"
        "d = digits.mnist_pair(source='mnist'); print(int(d.train_images.astype(int).sum()))"
    )
    root = Path(digits.__file__).parents[1]
    env = {**os.environ, "PYTHONPATH": str(root)}
    command = [sys.executable, "-c", script]
    both = [subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    sums = [process.communicate(timeout=120)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert sums[0] == sums[1] == f"{digits.mnist_pair().train_images.astype(int).sum()}\n"
    assert files_in(folders[0]) == whole(mini)
    assert not folders[1].exists()


def test_reading_mnist_loads_no_package_that_takes_seconds():
    script = "import sys; import common.digits; print({'torch', 'torchvision'} & set(sys.modules))"
    root = Path(digits.__file__).parents[1]
    run = subprocess.run([sys.executable, "-c", script], cwd=root, capture_output=True, text=True)
    assert run.stdout == "set()\n"


def test_without_a_network_the_stand_in_says_why_in_one_line(no_network):
    pair = digits.mnist_pair()
    assert pair.source == "strokes"
    assert "pen strokes" in pair.note
    assert "Connection refused" in pair.note
    assert digits.MIRRORS[0] in pair.note
    assert "\n" not in pair.note
    assert not no_network.exists()


def test_the_stand_in_is_as_large_as_mnists_ones_and_sevens():
    pair = digits.mnist_pair(source="strokes")
    assert pair.note == "Digits: pen strokes, drawn by a program."
    assert pair.train_images.shape == (13_007, 28, 28)
    assert pair.test_images.shape == (2_163, 28, 28)
    assert set(pair.train_labels) == set(pair.test_labels) == {1, 7}


def test_a_proxy_that_is_no_address_falls_back_and_the_note_says_why(no_network, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://proxy.example:80a80")
    assert "nonnumeric port: '80a80'" in digits.mnist_pair().note


def test_a_proxy_set_after_a_first_failure_is_used(mini, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://proxy.example:80a80")
    assert digits.mnist_pair().source == "strokes"
    monkeypatch.delenv("http_proxy")
    assert digits.mnist_pair().source == "mnist"


ERRORS = [
    http.client.HTTPException("odd"),
    http.client.InvalidURL("odd"),
    http.client.IncompleteRead(b"odd"),
    UnicodeEncodeError("idna", "odd", 0, 1, "label too long"),
    ValueError("odd\nin two lines"),
    ssl.SSLCertVerificationError("certificate verify failed: unable to get local issuer"),
    TimeoutError(),
    OSError("odd"),
    RuntimeError("odd"),
    MemoryError(),
    EOFError("odd"),
    AttributeError("odd"),
    KeyError("odd"),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("place", ["build_opener", "data_folders"])
def test_whatever_goes_wrong_falls_back_and_the_note_says_why(
    no_network, monkeypatch, error, place
):
    def fail():
        raise error

    monkeypatch.setattr(digits, place, fail)
    pair = digits.mnist_pair()
    assert pair.source == "strokes"
    assert type(error).__name__ in pair.note
    assert " ".join(str(error).split()) in pair.note
    assert "\n" not in pair.note


def test_every_mirrors_reason_is_told(no_network, monkeypatch):
    # The second mirror's must not hide the first's: there is the certificate that macOS lacks.
    monkeypatch.setattr(digits, "MIRRORS", ["odd://one/", *digits.MIRRORS])
    note = digits.mnist_pair().note
    assert "unknown url type: odd" in note
    assert "Connection refused" in note


def test_an_interruption_stays_one(no_network, monkeypatch):
    def interrupt():
        raise KeyboardInterrupt

    monkeypatch.setattr(digits, "data_folders", interrupt)
    with pytest.raises(KeyboardInterrupt):
        digits.mnist_pair()


def test_mnist_by_name_names_the_folder_and_the_way_to_fill_it(no_network):
    with pytest.raises(RuntimeError, match=r"(?s)MNIST.*could not be downloaded") as error:
        digits.mnist_pair(source="mnist")
    assert str(no_network / "MNIST" / "raw") in str(error.value)
    assert "ML_DATA_DIR" in str(error.value)
    assert "Connection refused" in str(error.value)


def test_the_data_folder_may_begin_at_home_or_at_the_project(mini, folders, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.setenv("ML_DATA_DIR", "~/mine")
    digits.mnist_pair()
    assert files_in(tmp_path / "mine") == whole(mini)
    monkeypatch.setenv("ML_DATA_DIR", "mine")
    monkeypatch.chdir(tmp_path)
    digits.mnist_pair()
    assert files_in(tmp_path / "project" / "mine") == whole(mini)


def test_a_data_folder_that_cannot_be_made_falls_back_too(no_network, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("ML_DATA_DIR", str(tmp_path / "file" / "data"))
    assert digits.mnist_pair().source == "strokes"


def test_other_digits_have_no_stand_in(no_network):
    with pytest.raises(RuntimeError, match="could not be downloaded"):
        digits.mnist_pair((3, 5))
    with pytest.raises(ValueError, match="digits"):
        digits.mnist_pair((3, 5), source="strokes")


@pytest.mark.parametrize("pair", [[7, 1], np.array([1, 7]), (np.int64(1), np.uint8(7))])
def test_digits_may_be_any_whole_numbers_in_any_order(pair):
    assert set(digits.mnist_pair(pair, source="strokes").test_labels) == {1, 7}


NO_PAIRS = [(1, 1), (1,), (1, 7, 3), (1, 1, 7), (1, 10), (-1, 7), (1.5, 7), ("1", "7"), (True, 7)]
NO_PAIRS += [5, None, "17", {1, 7}, {1: 7}, [1, [7]], np.array(5), np.array([[1, 7]]), np.ones(2)]


@pytest.mark.parametrize("pair", NO_PAIRS)
def test_bad_digits_are_refused(pair):
    with pytest.raises(ValueError, match="digits: expected"):
        digits.mnist_pair(pair)


@pytest.mark.parametrize("source", ["web", None, 1, ["mnist"], "MNIST"])
def test_bad_source_is_refused(source):
    with pytest.raises(ValueError, match="source: expected"):
        digits.mnist_pair(source=source)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no such pipes")
def test_what_never_ends_under_a_name_of_mnist_is_not_read(mini, folders, monkeypatch):
    raw = folders[0] / "MNIST" / "raw"
    raw.mkdir(parents=True)
    os.mkfifo(raw / "train-images-idx3-ubyte")
    (raw / "train-labels-idx1-ubyte").write_bytes(b"\0" * 2_000_000)
    monkeypatch.setattr(digits, "LARGEST", 1_000_000)
    loaded = digits.mnist_pair()
    assert loaded.source == "mnist"
    for name in ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"):
        assert f"left as it is: {raw / name}" in loaded.note
