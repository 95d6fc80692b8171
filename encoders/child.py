"""A decode child: one process that is given open files, one after the other, and nothing else.

It has no secrets (an empty environment), no free descriptor to open a file or a connection with,
bounded memory, and a clock of its own. It ends when its parent does.
"""

from __future__ import annotations

import contextlib
import gc
import io
import os
import resource
import signal
import socket
import struct
import sys

from encoders.decode import decode
from encoders.errors import DecoderCrashed, MediaError
from encoders.wire import READY, REQUEST, Job, send_error, send_result

_CHANNEL = 3
_GRACE = 2.0  # seconds after which a child ends itself, were its parent not there to do it


def main() -> None:
    """Serve the parent at the other end of the descriptor named by the first argument."""
    given = int(sys.argv[1])
    os.dup2(given, _CHANNEL)
    if given != _CHANNEL:
        os.close(given)
    job = Job.loads(sys.argv[2])
    channel = socket.socket(fileno=_CHANNEL)
    _warm_up(job)
    _confine(job.limits.memory_bytes)
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        channel.sendall(READY)
        while _serve(channel, job):
            pass


def _warm_up(job: Job) -> None:
    """Decode one dot and a hundredth of a second of silence.

    It loads every module that decoding needs, while files can still be opened.
    """
    dot = b"GIF89a\1\0\1\0\x80\0\0\0\0\0\xff\xff\xff,\0\0\0\0\1\0\1\0\0\2\2D\1\0;"
    head = struct.pack("<HHIIHH", 1, 1, 8000, 16000, 2, 16)
    wave = b"WAVEfmt \x10\0\0\0" + head + b"data" + struct.pack("<I", 160) + bytes(160)
    for content in (dot, b"RIFF" + struct.pack("<I", len(wave)) + wave):
        decode(io.BytesIO(content), job.frames, job.sound, job.limits, 10.0, job.words)
    gc.collect()
    gc.freeze()  # so that collecting after each file looks at that file's objects alone


def _confine(memory: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent to act on
    with open("/proc/self/statm") as file:
        now = int(file.read().split()[0]) * resource.getpagesize()
    for what, limit in (
        (resource.RLIMIT_AS, now + memory),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        # 0 to 2, the channel, and the file at work: while that is open, nothing else can be.
        (resource.RLIMIT_NOFILE, _CHANNEL + 2),
    ):
        resource.setrlimit(what, (limit, limit))


def _serve(channel: socket.socket, job: Job) -> bool:
    """Decode one file; False when there are no more, or this process is no longer fit."""
    message, files, _, _ = socket.recv_fds(channel, REQUEST.size, 1)
    if len(message) < REQUEST.size or not files:
        return False
    (budget,) = REQUEST.unpack(message)
    signal.setitimer(signal.ITIMER_REAL, budget + _GRACE)  # SIGALRM, unhandled, ends the process
    try:
        with os.fdopen(files[0], "rb", buffering=0) as file:
            result = decode(file, job.frames, job.sound, job.limits, budget, job.words)
    except MediaError as error:
        send_error(channel, error)
    except MemoryError:
        send_error(channel, DecoderCrashed("the video needs more memory than the limit allows"))
        return False
    except Exception as error:
        # Whatever else a hostile file provokes is reported by its name, and this process ends.
        send_error(channel, DecoderCrashed(f"the decoder failed ({type(error).__name__})"))
        return False
    else:
        send_result(channel, result)
    gc.collect()  # the decoder's objects refer to each other, and hold far more than they seem to
    signal.setitimer(signal.ITIMER_REAL, 0)
    return True
