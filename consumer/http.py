"""/metrics, /livez and /readyz on one small HTTP server."""

from __future__ import annotations

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from encoders.errors import SettingError

Check = Callable[[], list[str]]
"""Answers what is wrong, one sentence each; nothing means fine."""


class HttpServer:
    """Serves until it is closed. A check that answers something makes its path answer 503."""

    def __init__(
        self, host: str, port: int, registry: CollectorRegistry, livez: Check, readyz: Check
    ) -> None:
        class Handler(BaseHTTPRequestHandler):
            """One request."""

            timeout = 10
            server_version = "reeltag"
            sys_version = ""

            def do_GET(self) -> None:
                path = self.path.partition("?")[0]
                if path == "/metrics":
                    self._answer(200, generate_latest(registry), CONTENT_TYPE_LATEST)
                elif path in ("/livez", "/readyz"):
                    wrong = livez() if path == "/livez" else readyz()
                    text = "".join(f"{line}\n" for line in wrong) or "ok\n"
                    self._answer(503 if wrong else 200, text.encode(), "text/plain; charset=utf-8")
                else:
                    self._answer(404, b"try /metrics, /livez or /readyz\n", "text/plain")

            def _answer(self, status: int, body: bytes, content_type: str) -> None:
                self.send_response(status)
                self.send_header("Content-Type", content_type)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Requests are not logged: probes come every few seconds."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request: object, client_address: object) -> None:
                """A client that hangs up is no news."""

        try:
            self._server = Server((host, port), Handler)
        except OSError as error:
            raise SettingError(
                f"can't listen on {host}:{port} ({error.strerror}); set REELTAG_HTTP_PORT"
            ) from None
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.2}, name="http"
        )
        self._thread.daemon = True
        self._thread.start()

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
