"""``s3://`` URIs, by s3fs."""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import SplitResult, unquote

import botocore.exceptions  # type: ignore[import-untyped]  # it ships no types
from fsspec.asyn import sync
from fsspec.exceptions import FSTimeoutError
from s3fs import S3FileSystem

from encoders.access import Access, S3Options
from encoders.errors import MediaError, NotFound, Refused, Unavailable

CHUNK = 1024 * 1024
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.\-_]{1,61}[a-z0-9]", re.IGNORECASE)


class S3Fetcher:
    """Fetches objects from one S3 service. Safe to share between threads."""

    def __init__(self, options: S3Options) -> None:
        self._buckets = options.buckets
        self._files = S3FileSystem(
            key=options.key,
            secret=options.secret,
            anon=options.anonymous,
            endpoint_url=options.endpoint_url,
            client_kwargs={"region_name": options.region} if options.region else {},
            config_kwargs={
                "connect_timeout": 10,
                "read_timeout": 20,
                "retries": {"max_attempts": 2},
            },
            use_listings_cache=False,
            skip_instance_cache=True,
        )

    def download(
        self, parts: SplitResult, limit: int, deadline: float, write: Callable[[bytes], Any]
    ) -> None:
        """Pass the object's bytes to ``write``.

        Raises Refused where there are more than ``limit``, NotFound, Unavailable.
        """
        path = self._path(parts)

        async def copy() -> None:
            stream = await self._files.open_async(path, "rb")
            try:
                size = 0
                while chunk := await stream.read(CHUNK):
                    size += len(chunk)
                    if size > limit or (stream.size or 0) > limit:
                        raise Refused(f"the file is larger than the limit of {limit} bytes")
                    write(chunk)
            finally:
                if stream.r is not None:
                    stream.r.close()

        self._run(copy, deadline)

    def etag(self, parts: SplitResult, deadline: float) -> str | None:
        """The object's ETag. Raises NotFound, Refused, Unavailable."""
        path = self._path(parts)

        async def ask() -> str | None:
            details = await self._files._info(path, refresh=True)
            tag = details.get("ETag")
            return str(tag) if tag else None

        tag: str | None = self._run(ask, deadline)
        return tag

    def _path(self, parts: SplitResult) -> str:
        bucket, key = parts.netloc, unquote(parts.path).lstrip("/")
        if not _BUCKET.fullmatch(bucket) or not key or parts.query or parts.fragment:
            raise Refused("an S3 URI must look like s3://bucket/key")
        if self._buckets and bucket not in self._buckets:
            raise Refused(f"the bucket {bucket} is not among the allowed buckets")
        return f"{bucket}/{key}"

    def _run(self, work: Callable[[], Awaitable[Any]], deadline: float) -> Any:
        try:
            return sync(self._files.loop, work, timeout=max(deadline - time.monotonic(), 0.001))
        except MediaError:
            raise
        except FileNotFoundError:
            raise NotFound("there is no such object; check bucket and key") from None
        except PermissionError:
            raise Refused("the object may not be read; check policy and credentials") from None
        except botocore.exceptions.NoCredentialsError:
            raise Refused("no S3 credentials were found; set them, or allow anonymous") from None
        except (TimeoutError, FSTimeoutError):
            raise Unavailable("the object store is too slow; try again later") from None
        except (botocore.exceptions.BotoCoreError, OSError) as error:
            kind = type(error).__name__
            raise Unavailable(f"the object store failed ({kind}); try again later") from None


def s3_fetcher(access: Access) -> S3Fetcher:
    """A fetcher for the service that ``access`` names, by default Amazon's."""
    return S3Fetcher(access.s3 or S3Options())
