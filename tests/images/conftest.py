"""Servers on this computer, and tar files."""

import socket
import threading

import pytest
from image_server import Server


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch):
    """Nothing of the environment's comes between."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "ftp_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def server():
    """A running `Server`."""
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.stop.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def silent():
    """A host that takes connections and never answers; its list of connections."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        accepted = []

        def accept():
            while True:
                try:
                    accepted.append(listener.accept()[0])
                except OSError:
                    return

        threading.Thread(target=accept, daemon=True).start()
        accepted_from = f"http://127.0.0.1:{listener.getsockname()[1]}"
        yield accepted_from, accepted
        # Closing alone does not wake accept().
        listener.shutdown(socket.SHUT_RDWR)
        for connection in accepted:
            connection.close()


@pytest.fixture
def closed_port():
    """A port where nobody listens."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()[1]


@pytest.fixture
def folder(tmp_path):
    """Of a cache of downloads that is not there yet."""
    return str(tmp_path / "cache" / "http")


@pytest.fixture
def shard(tmp_path):
    """Writes a tar file; returns its path."""

    def write(content, name="shard.tar"):
        path = tmp_path / name
        path.write_bytes(content)
        return str(path)

    return write
