"""A small server that speaks the hub's protocol: resolve, redirect, ETag, Range."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Hub:
    """What the server holds and what it was asked.

    ``cut``  the next answers end after so many bytes, one number an answer.
    ``fail`` the next answers have these statuses.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    url: str = ""
    cut: list[int] = field(default_factory=list)
    fail: list[int] = field(default_factory=list)
    ranges: list[str | None] = field(default_factory=list)
    sent: int = 0


@contextmanager
def serve() -> Iterator[Hub]:
    """A running hub; paths are ``{repository}/resolve/{revision}/{path}``."""
    hub = Hub()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = self.path.lstrip("/")
            if path.startswith("store/"):
                self._content(hub.files[path.removeprefix("store/")])
            elif hub.fail:
                self._head(hub.fail.pop(0), {"Content-Length": "0"})
            elif path in hub.files:
                self._head(302, {"Location": f"/store/{path}", "Content-Length": "0"})
            else:
                self._head(404, {"Content-Length": "0"})

        def _content(self, content: bytes) -> None:
            tag = f'"{sha256(content).hexdigest()}"'
            asked = self.headers.get("Range")
            hub.ranges.append(asked)
            start, status = 0, 200
            match = re.fullmatch(r"bytes=(\d+)-", asked or "")
            if match and self.headers.get("If-Range") == tag:
                start, status = int(match[1]), 206
                if start >= len(content):
                    self._head(416, {"Content-Length": "0"})
                    return
            part = content[start:]
            headers = {"ETag": tag, "Content-Length": str(len(part))}
            if status == 206:
                headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
            self._head(status, headers)
            if hub.cut:
                part = part[: hub.cut.pop(0)]
                self.close_connection = True
            self.wfile.write(part)
            hub.sent += len(part)

        def _head(self, status: int, headers: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Keep quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
