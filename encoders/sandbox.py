"""Reading videos that nobody vouches for: fetched here, decoded in children that can be killed."""

from __future__ import annotations

import contextlib
import queue
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from encoders.access import Access, named
from encoders.addresses import Resolver, system_resolver
from encoders.decode import Decoded
from encoders.errors import DecoderCrashed, Refused, Unavailable, Unreadable
from encoders.features import Media
from encoders.fetch import Fetched, Fetcher
from encoders.limits import FrameSpec, Limits, SoundSpec, WordSpec
from encoders.wire import READY, REQUEST, Job, receive_result

_START_SECONDS = 60.0
_FETCH_SHARE = 0.75  # of a video's time: a slow server must not look like a slow decoder
_CODE = "import sys; sys.path.insert(0, {root!r}); from encoders.child import main; main()"
_ENVIRONMENT = {
    "LANG": "C.UTF-8",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MALLOC_ARENA_MAX": "1",
}


class MediaReader:
    """Reads videos, as many at once as it has children; safe to share between threads.

    A child that crashes, hangs or has served ``limits.files_per_child`` files is replaced.
    ``crashes`` counts those that died or had to be killed.
    """

    def __init__(
        self,
        limits: Limits,
        frames: FrameSpec,
        sound: SoundSpec,
        children: int,
        *,
        words: WordSpec | None = None,
        scratch: Path | None = None,
        resolver: Resolver = system_resolver,
    ) -> None:
        self.crashes = 0
        self._job = Job(limits, frames, sound, words)
        self._fetcher = Fetcher(limits, scratch=scratch, resolver=resolver)
        self._children = children
        self._lock = threading.Lock()
        self._closed = False
        self._idle: queue.SimpleQueue[_Child | None] = queue.SimpleQueue()
        started = [_Child(self._job) for _ in range(children)]
        for child in started:
            child.await_ready()
            self._idle.put(child)

    def read(self, uri: str, access: Access) -> Media:
        """The video at ``uri``, decoded.

        Takes at most ``limits.wall_seconds``, not counting the wait for a free child. Raises
        Refused, NotFound, Unreadable, DecoderCrashed or Unavailable.
        """
        if self._closed:
            raise Unavailable("the reader is closed; open another")
        begin, seconds = time.monotonic(), self._job.limits.wall_seconds
        until = begin + _FETCH_SHARE * seconds
        with self._fetcher.open(uri, access, until) as fetched, named(uri):
            decoded = self._decode(fetched, begin + seconds - time.monotonic())
            return Media(
                frames=decoded.frames,
                sound=decoded.sound,
                rate=self._job.sound.rate,
                duration=decoded.duration,
                states=decoded.states,
                digest=fetched.digest,
                notes=decoded.notes,
                legible=decoded.legible,
                speech=decoded.speech,
            )

    def fingerprint(self, uri: str, access: Access) -> str | None:
        """See ``Fetcher.fingerprint``."""
        return self._fetcher.fingerprint(uri, access)

    def close(self) -> None:
        """End every child; reads under way end first."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        for _ in range(self._children):
            child = self._idle.get()
            if child is not None:
                child.end()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _decode(self, fetched: Fetched, seconds: float) -> Decoded:
        child = self._idle.get()
        fit = False
        try:
            if child is not None and child.died:
                child.end()
                child = None
            child = child or _Child(self._job)
            result = child.decode(fetched, seconds)
            fit = True
            return result
        except (Refused, Unreadable):
            fit = True
            raise
        except DecoderCrashed:
            with self._lock:
                self.crashes += 1
            raise
        finally:
            if child and not (fit and child.served < self._job.limits.files_per_child):
                child.end()
                child = self._replacement()
            self._idle.put(child)

    def _replacement(self) -> _Child | None:
        """A new child, started early so that it is warm when needed."""
        with contextlib.suppress(Unavailable):  # then whoever needs it tries again, and says so
            return None if self._closed else _Child(self._job)
        return None


class _Child:
    """One child process and the socket to it."""

    def __init__(self, job: Job) -> None:
        self.served = 0
        self._job = job
        self._ready = False
        self._channel, theirs = socket.socketpair()
        code = _CODE.format(root=str(Path(__file__).parent.parent))
        number = theirs.fileno()
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-c", code, str(number), job.dumps()],
                pass_fds=[number],
                env=_ENVIRONMENT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError:
            self._channel.close()
            raise Unavailable("no decode child can be started; check free memory") from None
        finally:
            theirs.close()

    def decode(self, fetched: Fetched, seconds: float) -> Decoded:
        """Raises what the child reports; after a DecoderCrashed it must be ended."""
        self.await_ready()
        self.served += 1
        deadline = time.monotonic() + seconds
        try:
            socket.send_fds(self._channel, [REQUEST.pack(seconds)], [fetched.file.fileno()])
        except OSError:
            raise DecoderCrashed("the decoder died") from None
        return receive_result(self._channel, self._job, deadline)

    def await_ready(self) -> None:
        """Wait until the child has started; raises Unavailable where it doesn't."""
        if not self._ready:
            self._channel.settimeout(_START_SECONDS)
            try:
                self._ready = self._channel.recv(len(READY)) == READY
            except OSError:
                self._ready = False
        if not self._ready:
            raise Unavailable("a decode child did not start; check memory and the installation")

    @property
    def died(self) -> bool:
        """Whether it has ended by itself."""
        return self._process.poll() is not None

    def end(self) -> None:
        """Kill it, and leave neither a zombie nor a descriptor."""
        self._channel.close()
        self._process.kill()
        self._process.wait()
