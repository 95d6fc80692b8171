"""A server on this machine that answers each request as a test wants, byte for byte."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator

Answer = Callable[[socket.socket, str, str], None]
"""(connection, path, whole request head) → sends what it likes; then the connection is closed."""


def reply(
    body: bytes, *, status: str = "200 OK", headers: tuple[str, ...] = (), length: int | None = None
) -> bytes:
    """One whole HTTP answer; ``length`` is what it claims to be."""
    claim = len(body) if length is None else length
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {claim}", "Connection: close", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class Server:
    """Listens on 127.0.0.1; ``requests`` are the heads of what it was asked."""

    def __init__(self, answer: Answer) -> None:
        self.requests: list[str] = []
        self._answer = answer
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._connections: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    def uri(self, path: str = "/a.mp4", host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{path}"

    def close(self) -> None:
        # Both, so that neither accept nor a send that nobody reads goes on waiting.
        for each in (self._listener, *self._connections):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        for thread in self._threads:
            thread.join(5)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._connections.append(connection)
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            head = b""
            while b"\r\n\r\n" not in head:
                part = connection.recv(4096)
                if not part:
                    return
                head += part
            text = head.decode("latin-1")
            self.requests.append(text)
            self._answer(connection, text.split(" ", 2)[1], text)


@contextlib.contextmanager
def serving(answer: Answer | bytes) -> Iterator[Server]:
    """A server for the time of a block; bytes are sent as they are."""
    if isinstance(answer, bytes):
        content = answer
        server = Server(lambda connection, path, head: connection.sendall(content))
    else:
        server = Server(answer)
    try:
        yield server
    finally:
        server.close()
