"""Ratings: the films that ship with the project, and tables of one's own."""

import functools
import hashlib
import http.server
import io
import os
import socket
import subprocess
import sys
import threading
import time
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common import ratings

RNG = np.random.default_rng(0)


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
    found = ratings.movielens_100k()
    assert as_named(found) == [(u, TITLES[i], float(r)) for u, i, r in MINI]
    assert found.shape == (2, 3)  # two films of one title stay two
    assert found.users.tolist() == [0, 1, 0, 1]
    assert found.items.tolist() == [0, 1, 1, 2]
    assert (found.users.dtype, found.ratings.dtype) == (np.int64, np.float64)
    assert files_in(tmp_path / "data") == {"ml-100k.zip"}


def test_movielens_already_there_needs_no_network(lens, tmp_path):
    ratings.movielens_100k()
    lens.unlink()
    for download in (True, False):
        assert ratings.movielens_100k(download=download).shape == (2, 3)


def test_damaged_movielens_is_named_removed_and_fetched_again(lens, tmp_path, capsys):
    archive = tmp_path / "data" / "ml-100k.zip"
    archive.parent.mkdir()
    archive.write_bytes(movielens_zip()[:100])
    assert ratings.movielens_100k(download=False, required=False) is None
    assert archive.exists()  # without the network nothing is gained by removing it
    assert ratings.movielens_100k().shape == (2, 3)
    assert capsys.readouterr().out == f"{archive} is damaged: removed, to be downloaded again.\n"


@pytest.mark.parametrize("content", [b"", b"not found", movielens_zip()[:-1], movielens_zip([])])
def test_wrong_bytes_of_movielens_are_never_kept(lens, tmp_path, content):
    lens.write_bytes(content)
    with pytest.raises(RuntimeError, match="wrong checksum"):
        ratings.movielens_100k()
    assert ratings.movielens_100k(required=False) is None
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
            ratings.movielens_100k()


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
            ratings.movielens_100k()
        assert time.perf_counter() - started < 20  # a busy machine is slow, but not for a minute
        handler.over.set()
        server.shutdown()
    assert files_in(tmp_path / "data") == set()
    assert socket.getdefaulttimeout() is None


def test_without_a_network_movielens_says_how_to_get_it_or_nothing(
    tmp_path, monkeypatch, capsys, no_network
):
    port = ratings._torchvision_datasets().MNIST.mirrors[0]
    use_movielens(monkeypatch, tmp_path / "data", port, b"")
    with pytest.raises(RuntimeError, match="Please fetch") as error:
        ratings.movielens_100k()
    for part in (str(tmp_path / "data"), port, "ML_DATA_DIR", "movielens_100k(path)"):
        assert part in str(error.value)
    assert "\n" not in str(error.value)
    assert ratings.movielens_100k(required=False) is None
    assert capsys.readouterr() == ("", "")


def test_without_leave_movielens_does_not_touch_the_network(lens, monkeypatch):
    def refuse(*args):
        raise AssertionError("the network was touched")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    assert ratings.movielens_100k(download=False, required=False) is None
    with pytest.raises(RuntimeError, match="Please fetch"):
        ratings.movielens_100k(download=False)


def test_a_folder_for_movielens_that_cannot_be_made_is_explained(lens, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("ML_DATA_DIR", str(tmp_path / "file" / "data"))
    with pytest.raises(RuntimeError, match="Please fetch"):
        ratings.movielens_100k()
    assert ratings.movielens_100k(required=False) is None


def test_a_folder_for_movielens_that_cannot_be_written_is_explained(lens, tmp_path, monkeypatch):
    def refuse(*args, **kwargs):
        raise PermissionError("read-only")

    monkeypatch.setattr(ratings.tempfile, "TemporaryDirectory", refuse)
    with pytest.raises(RuntimeError, match="PermissionError: read-only"):
        ratings.movielens_100k()


def test_two_processes_that_download_movielens_at_once_both_get_it_whole(lens, tmp_path):
    script = (
        f"from common import data; ratings.MOVIELENS_URL = {ratings.MOVIELENS_URL!r};"
        f"ratings.MOVIELENS_MD5 = {ratings.MOVIELENS_MD5!r}; print(ratings.movielens_100k().shape)"
    )
    env = {**os.environ, "PYTHONPATH": str(ratings.ROOT)}
    command = [sys.executable, "-c", script]
    both = [subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert [process.communicate(timeout=60)[0] for process in both] == ["(2, 3)\n"] * 2
    assert files_in(tmp_path / "data") == {"ml-100k.zip"}


def test_the_address_and_checksum_are_those_of_grouplens():
    assert ratings.MOVIELENS_URL == "https://files.grouplens.org/datasets/movielens/ml-100k.zip"
    assert ratings.MOVIELENS_MD5 == "0e33842e24a9c977be4e0107933c0723"


def test_an_archive_like_movielens_is_read_from_anywhere(tmp_path):
    (tmp_path / "copy.zip").write_bytes(movielens_zip())
    assert ratings.movielens_100k(tmp_path / "copy.zip").item_names.tolist() == [
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
        ratings.movielens_100k(tmp_path / "odd.zip")


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
    assert as_named(ratings.movielens_100k(own(tmp_path, text, encoding))) == OWN


@pytest.mark.parametrize("columns", [("who", "what", "stars"), (3, 1, 0), [3, 1, 0]])
def test_columns_of_own_ratings_can_be_named_or_counted(tmp_path, columns):
    text = 'stars,what,when,who\n4.5,tea,1,ann\n-1,"a, b",2,7\n0,7,3,ann\n'
    assert as_named(ratings.movielens_100k(str(own(tmp_path, text)), columns=columns)) == OWN
    if columns[0] == 3:
        headless = own(tmp_path, text.split("\n", 1)[1])
        assert as_named(ratings.movielens_100k(headless, columns=columns)) == OWN


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
        writer = ratings.csv.writer(file)
        writer.writerow(["user", "item", "rating"])
        writer.writerows(rows)
    found = ratings.movielens_100k(path)
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
        ratings.movielens_100k(own(tmp_path, text))


def test_own_ratings_that_are_no_text_or_no_file_are_refused(tmp_path):
    (tmp_path / "own.csv").write_bytes(b"\xff\xfe\x00,1,2\n")
    with pytest.raises(ValueError, match=r"path: .*UTF-8"):
        ratings.movielens_100k(tmp_path / "own.csv")
    with pytest.raises(FileNotFoundError, match=r"path: .*nowhere"):
        ratings.movielens_100k(tmp_path / "nowhere.csv", required=False)
    with pytest.raises(ValueError, match=r"path: .*folder"):
        ratings.movielens_100k(tmp_path)
    with pytest.raises(ValueError, match="path"):
        ratings.movielens_100k(3)


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
        ratings.movielens_100k(own(tmp_path, "user,item,rating\nann,tea,4\n"), columns=columns)


def test_columns_without_a_path_are_refused():
    with pytest.raises(ValueError, match="columns"):
        ratings.movielens_100k(columns=(0, 1, 2))
