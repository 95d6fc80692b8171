"""``http://`` and ``https://`` URIs: the connection goes to the very address that was checked."""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import httpcore
import httpx

from encoders.access import Access
from encoders.addresses import Resolver, resolve_public
from encoders.errors import MediaError, NotFound, Refused, Unavailable

REDIRECTS = 5
_MOVED = frozenset({301, 302, 303, 307, 308})
_RETRY = frozenset({408, 425, 429})


class _Stream(httpcore.NetworkStream):
    """A connection whose every wait ends at one deadline, however little arrives each time."""

    def __init__(self, inner: httpcore.NetworkStream, deadline: float) -> None:
        self._inner = inner
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, _left(self._deadline))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, _left(self._deadline))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        left = _left(self._deadline)
        return _Stream(self._inner.start_tls(ssl_context, server_hostname, left), self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


class _CheckedNetwork(httpcore.NetworkBackend):
    """Connects to addresses that have been checked, and to no others."""

    def __init__(self, allowed: frozenset[str], resolver: Resolver, deadline: float) -> None:
        self._allowed = allowed
        self._resolver = resolver
        self._deadline = deadline
        self._inner = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        left = _left(self._deadline)
        addresses = resolve_public(host, port, self._allowed, self._resolver, left)
        failure: httpcore.ConnectError | httpcore.ConnectTimeout | None = None
        for address in addresses:
            try:
                stream = self._inner.connect_tcp(
                    address, port, _left(self._deadline), None, socket_options
                )
                return _Stream(stream, self._deadline)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure or httpcore.ConnectError("no address")


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise httpcore.ReadTimeout("the time for this file is over")
    return left


class HttpFetcher:
    """Fetches files over HTTP. Proxies named by the environment are not asked: they would choose
    the address themselves. Safe to share between threads.
    """

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver
        self._tls = httpx.create_ssl_context()

    @contextmanager
    def response(
        self, uri: str, access: Access, deadline: float, method: str = "GET"
    ) -> Iterator[httpcore.Response]:
        """The answer to a request for ``uri``, redirects followed and checked one by one.

        Raises Refused, NotFound or Unavailable, also while the body is being read.
        """
        network = _CheckedNetwork(access.hosts, self._resolver, deadline)
        with (
            _translated(),
            httpcore.ConnectionPool(ssl_context=self._tls, network_backend=network) as pool,
        ):
            url = httpx.URL(uri)
            for _ in range(REDIRECTS + 1):
                if url.scheme not in access.schemes or url.scheme not in ("http", "https"):
                    raise Refused(f"the scheme {url.scheme!r} is not among the allowed schemes")
                with pool.stream(method, _target(url), headers=_headers(url)) as response:
                    if response.status not in _MOVED:
                        _check_status(response.status)
                        yield response
                        return
                    target = _header(response, b"location")
                    if not target:
                        raise Refused("the server redirects to nowhere; use another URI")
                    url = url.join(target)
            raise Refused(f"the server redirects more than {REDIRECTS} times; use the final URI")


def etag(response: httpcore.Response) -> str | None:
    """What tells this version of the file from another, None where the server doesn't say."""
    tag = _header(response, b"etag")
    if tag and not tag.startswith("W/"):
        return tag
    changed, size = _header(response, b"last-modified"), _header(response, b"content-length")
    return f"{changed} {size}" if changed and size else None


def claimed_size(response: httpcore.Response) -> int:
    """The Content-Length, 0 where there is none."""
    claim = _header(response, b"content-length")
    return int(claim) if claim.isdecimal() else 0


def _header(response: httpcore.Response, name: bytes) -> str:
    values = (value for key, value in response.headers if key.lower() == name)
    return next(values, b"").decode("latin-1").strip()


def _target(url: httpx.URL) -> httpcore.URL:
    return httpcore.URL(
        scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path
    )


def _headers(url: httpx.URL) -> list[tuple[bytes, bytes]]:
    # Without Accept-Encoding: identity, a few bytes could unpack to a great many.
    headers = [
        (b"Host", url.netloc),
        (b"User-Agent", b"reeltag"),
        (b"Accept", b"*/*"),
        (b"Accept-Encoding", b"identity"),
    ]
    if url.userinfo:
        basic = httpx.BasicAuth(url.username, url.password)
        request = next(basic.auth_flow(httpx.Request("GET", url.copy_with(userinfo=b""))))
        headers.append((b"Authorization", request.headers["Authorization"].encode()))
    return headers


def _check_status(status: int) -> None:
    if status in (200, 203):
        return
    if status in (404, 410):
        raise NotFound(f"the server answers {status}; check the URI")
    if status >= 500 or status in _RETRY:
        raise Unavailable(f"the server answers {status}; try again later")
    raise Refused(f"the server answers {status}; check that the file may be read without a login")


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except MediaError:
        raise
    except httpcore.TimeoutException:
        raise Unavailable("the server is too slow; raise wall_seconds or try later") from None
    except (httpx.InvalidURL, httpcore.UnsupportedProtocol, httpcore.LocalProtocolError):
        raise Refused("the URI can't be requested; check its spelling") from None
    except (httpcore.NetworkError, httpcore.ProtocolError, ssl.SSLError) as error:
        kind = type(error).__name__
        raise Unavailable(f"the connection failed ({kind}); try again later") from None
