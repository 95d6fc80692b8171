"""What may be read, and how a URI is shown without its secrets."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from encoders.errors import MediaError, Refused


@dataclass(frozen=True, slots=True)
class S3Options:
    """Where ``s3://`` leads. Without key and secret, the usual AWS chain of credentials is asked.

    ``buckets`` empty means any bucket that the credentials can read.
    """

    endpoint_url: str | None = None
    region: str | None = None
    key: str | None = field(default=None, repr=False)
    secret: str | None = field(default=None, repr=False)
    anonymous: bool = False
    buckets: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Access:
    """The allow-list of an upload's URI.

    ``schemes``  of ``file``, ``http``, ``https`` and ``s3``.
    ``paths``    folders under which ``file://`` URIs may lie, links resolved first.
    ``hosts``    hosts allowed although private, loopback or link-local.
    """

    schemes: frozenset[str] = frozenset({"https", "s3"})
    paths: tuple[Path, ...] = ()
    hosts: frozenset[str] = frozenset()
    s3: S3Options | None = None


def split(uri: str) -> SplitResult:
    """The parts of ``uri``; raises Refused where it isn't one."""
    if len(uri) > 4096 or re.search(r"[\x00-\x20\x7f]", uri):
        raise Refused("the URI is too long or holds blanks or control characters; encode them")
    try:
        parts = urlsplit(uri)
        _ = parts.port  # raises where it is not a number
    except ValueError:
        raise Refused("the URI can't be parsed; check its spelling") from None
    return parts


def shown(uri: str) -> str:
    """``uri`` for an error: without user, password, query (signatures live there) and fragment."""
    try:
        parts = urlsplit(uri)
        host = parts.netloc.rpartition("@")[2]
    except ValueError:
        return "the URI"
    text = f"{parts.scheme}://{host}{parts.path}"
    return re.sub(r"[^\x21-\x7e]", "?", text)[:200]


@contextmanager
def named(uri: str) -> Iterator[None]:
    """Put ``uri``, as shown, before the text of every MediaError that is raised inside."""
    try:
        yield
    except MediaError as error:
        raise type(error)(f"{shown(uri)}: {error}") from None
