"""A web server that misbehaves on demand, and small synthetic trees."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from m3hl.config.dataset import PhantomConfig
from m3hl.data.fetch import Patience
from m3hl.data.phantom import acdc, la


class Handler(BaseHTTPRequestHandler):
    """Serves `server.files`; the next of `server.faults` (status, "break", "stall", "plain") mars an answer."""

    def do_GET(self):
        server = self.server
        start = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").rstrip("-"))
        server.requests.append((self.path, start))
        fault = server.faults.pop(0) if server.faults else None
        body = server.files.get(self.path)
        if isinstance(fault, int) or body is None:
            self.send_error(fault or 404)
            return
        if start >= len(body) and start:
            self.send_error(416)
            return
        if fault == "plain":
            start = 0
        self.send_response(206 if start else 200)
        if fault != "endless":
            self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        rest = body[start:]
        if fault in ("break", "stall"):
            self.wfile.write(rest[: len(rest) // 2])
            self.wfile.flush()
            if fault == "stall":
                server.released.wait(10)
            self.connection.close()
            return
        self.wfile.write(rest)

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    """Return a server on this machine with `files`, `faults`, `requests` and `url`."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as web:
        web.files, web.faults, web.requests = {}, [], []
        web.released = threading.Event()
        web.url = f"http://127.0.0.1:{web.server_address[1]}/"
        thread = threading.Thread(target=web.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield web
        web.released.set()
        web.shutdown()
        thread.join()


@pytest.fixture(scope="session")
def hearts(tmp_path_factory):
    """Return a raw tree of synthetic short-axis stacks; not to be changed."""
    folder = tmp_path_factory.mktemp("hearts")
    acdc.make(PhantomConfig(train=2, val=1, test=1, size=(32, 32)), folder)
    return folder


@pytest.fixture(scope="session")
def atria(tmp_path_factory):
    """Return a raw tree of synthetic atria; not to be changed."""
    folder = tmp_path_factory.mktemp("atria")
    la.make(PhantomConfig(train=2, val=0, test=1, size=(24, 28, 24)), folder)
    return folder


@pytest.fixture
def impatient():
    """Return a patience that lets tests end soon."""
    return Patience(tries=3, stall=2, pause=0.01)


@pytest.fixture
def rng():
    """Return a generator with a fixed seed."""
    return np.random.default_rng(7)
