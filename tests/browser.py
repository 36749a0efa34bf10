"""A headless Chromium for the tests that look at pages, and servers for it to look at."""

import contextlib
import functools
import http.server
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

NAMES = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"]
HOW = (
    "skipped: no Chromium was found. Install it (Debian: apt-get install chromium; elsewhere: "
    "python -m playwright install --with-deps chromium), or name it in the variable CHROMIUM"
)
QUIET = [  # a browser that asks for nothing by itself
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
]


def executable(playwright) -> str | None:
    """Return the path of Chromium: $CHROMIUM, one on the path, Playwright's own, or None."""
    named = os.environ.get("CHROMIUM")
    if named:
        found = shutil.which(named)
        if not found:
            raise FileNotFoundError(f"CHROMIUM names {named}, which cannot be executed")
        return found
    own = playwright.chromium.executable_path
    on_path = (shutil.which(name) for name in NAMES)
    return next((p for p in on_path if p), own if Path(own).exists() else None)


@contextlib.contextmanager
def chromium() -> Iterator:
    """Start Chromium and yield Playwright's Browser; the test is skipped where there is none."""
    api = pytest.importorskip("playwright.sync_api", reason="skipped: `make test-lab` installs it")
    with api.sync_playwright() as playwright:
        path = executable(playwright)
        if path is None:
            pytest.skip(HOW)
        root = hasattr(os, "geteuid") and os.geteuid() == 0  # whom Chromium's sandbox refuses
        flags = [*QUIET, "--no-sandbox"] if root else QUIET
        browser = playwright.chromium.launch(executable_path=path, headless=True, args=flags)
        try:
            yield browser
        finally:
            browser.close()


def listen(page) -> list[str]:
    """Return a list that fills with what goes wrong in `page`: console errors, failed requests.

    JupyterLab asks for a picture attached to a cell by its bare name before it looks it up.
    """
    wrong: list[str] = []

    def console(message):
        where = message.location.get("url", "")
        if message.type == "error" and not where.startswith("attachment:"):
            wrong.append(f"console: {message.text[:300]} ({where})")

    def failed(request):
        if not request.url.startswith("attachment:"):
            wrong.append(f"failed: {request.url} {request.failure}")

    page.on("console", console)
    page.on("pageerror", lambda error: wrong.append(f"uncaught: {str(error)[:300]}"))
    page.on("requestfailed", failed)
    page.on("response", lambda r: r.status >= 400 and wrong.append(f"{r.status}: {r.url}"))
    return wrong


@contextlib.contextmanager
def files(folder: Path) -> Iterator[str]:
    """Serve a folder on a free port of this machine; yield the address."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    handler = functools.partial(Handler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@contextlib.contextmanager
def jupyterlab(folder: Path, private: Path) -> Iterator[str]:
    """Serve a folder with JupyterLab; its settings and log lie in `private`. Yield the address."""
    settings = {  # every cell is in the page; no question about news; stored outputs are trusted
        "@jupyterlab/notebook-extension/tracker": {"windowingMode": "none"},
        "@jupyterlab/apputils-extension/notification": {
            "fetchNews": "false",
            "checkForUpdates": False,
        },
    }
    for name, value in settings.items():
        file = private / "settings" / f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(value), encoding="utf-8")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = {
        "ServerApp.ip": "127.0.0.1",
        "ServerApp.port": port,
        "ServerApp.port_retries": 0,
        "ServerApp.open_browser": False,
        "ServerApp.allow_root": True,
        "ServerApp.root_dir": folder,
        "ServerApp.disable_check_xsrf": True,
        "IdentityProvider.token": "",
        "LabApp.expose_app_in_browser": True,
        "LabApp.user_settings_dir": private / "settings",
        "LabApp.workspaces_dir": private / "workspaces",
    }
    dirs = ["JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "IPYTHONDIR"]
    env = os.environ | {name: str(private / name.lower()) for name in dirs}
    log = (private / "jupyter.log").open("w", encoding="utf-8")
    command = [sys.executable, "-m", "jupyterlab", *(f"--{k}={v}" for k, v in options.items())]
    server = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=env)
    address = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 60
        while True:
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"{address}/api/status", timeout=5).close()
                break
            if server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((private / "jupyter.log").read_text(encoding="utf-8")[-2000:])
            time.sleep(0.2)
        yield address
    finally:
        server.terminate()
        try:
            server.wait(15)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
        log.close()
