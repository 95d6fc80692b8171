"""A parent believes nothing that a child says before it has been checked."""

from __future__ import annotations

import json
import socket
import struct
import time
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from encoders.decode import Decoded
from encoders.errors import DecoderCrashed, MediaError, Refused, Unreadable
from encoders.features import Modality, State
from encoders.limits import FrameSpec, Limits, SoundSpec
from encoders.wire import Job, receive_result, send_error, send_result

JOB = Job(Limits(), FrameSpec(count=3, size=4), SoundSpec(rate=10, max_seconds=2))
GOOD: dict[str, Any] = {
    "frames": 1,
    "sound": 0,
    "duration": 2.0,
    "states": {"visual": "used", "audio": "missing"},
    "notes": {},
}


def answered(content: bytes) -> Decoded:
    """What a parent makes of a child that says ``content`` and ends."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(content)
        theirs.shutdown(socket.SHUT_WR)
        return receive_result(ours, JOB, time.monotonic() + 5)


def message(header: object, body: bytes = b"") -> bytes:
    text = json.dumps(header).encode()
    return struct.pack(">I", len(text)) + text + body


def test_a_result_arrives_as_it_was_sent() -> None:
    frames = np.arange(2 * 4 * 4 * 3, dtype=np.uint8).reshape(2, 4, 4, 3)
    sound = np.linspace(-1, 1, 20, dtype=np.float32)
    states = {Modality.VISUAL: State.USED, Modality.AUDIO: State.USED}
    ours, theirs = socket.socketpair()
    with ours, theirs:
        send_result(theirs, Decoded(frames, sound, 2.5, states))
        result = receive_result(ours, JOB, time.monotonic() + 5)
    assert result.frames is not None
    assert result.sound is not None
    np.testing.assert_array_equal(result.frames, frames)
    np.testing.assert_array_equal(result.sound, sound)
    assert (result.duration, result.states, result.notes) == (2.5, states, {})


@pytest.mark.parametrize("kind", [Refused, Unreadable, DecoderCrashed])
def test_an_error_arrives_as_it_was_sent(kind: type[MediaError]) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        send_error(theirs, kind("say why\n\x1b[31m"))
        with pytest.raises(kind, match=r"say why\?\?\[31m$"):
            receive_result(ours, JOB, time.monotonic() + 5)


@given(st.binary(max_size=200))
def test_noise_is_a_crash(content: bytes) -> None:
    with pytest.raises(DecoderCrashed):
        answered(content)


@given(
    st.dictionaries(
        st.sampled_from([*GOOD, "error", "text"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
            max_leaves=5,
        ),
    )
)
def test_a_header_with_anything_in_it_is_an_error_of_ours(changes: dict[str, Any]) -> None:
    try:
        result = answered(message(GOOD | changes, bytes(48)))
    except MediaError:
        return
    assert result.frames is not None
    assert result.frames.shape == (1, 4, 4, 3)


@pytest.mark.parametrize(
    "change",
    [
        {"frames": 4}, {"frames": -1}, {"frames": 0}, {"frames": 10**12}, {"sound": 22},
        {"sound": -4}, {"duration": -1}, {"duration": float("nan")}, {"duration": float("inf")},
        {"states": {"visual": "used"}}, {"states": {"visual": "missing", "audio": "missing"}},
        {"notes": {"picture": "x"}}, {"notes": []}, {"error": "nonsense"}, {"error": {}},
    ],
)  # fmt: skip
def test_what_does_not_add_up_is_a_crash(change: dict[str, Any]) -> None:
    with pytest.raises(DecoderCrashed):
        answered(message(GOOD | change, bytes(48)))


def test_a_header_without_end_is_not_waited_for() -> None:
    with pytest.raises(DecoderCrashed, match="nonsense"):
        answered(struct.pack(">I", 2**32 - 1))
    with pytest.raises(DecoderCrashed):
        answered(message([[]] * 3))
    text = b"[" * 16_000
    with pytest.raises(DecoderCrashed):
        answered(struct.pack(">I", len(text)) + text)


def test_a_sound_that_is_no_number_is_a_crash() -> None:
    header = GOOD | {"sound": 1, "states": {"visual": "used", "audio": "used"}}
    assert answered(message(header, bytes(52))).sound is not None
    for wrong in (float("nan"), float("inf"), 2.0):
        with pytest.raises(DecoderCrashed):
            answered(message(header, bytes(48) + struct.pack("<f", wrong)))


def test_a_child_that_dribbles_is_late() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(message(GOOD, bytes(10)))
        begin = time.monotonic()
        with pytest.raises(DecoderCrashed, match="limit of time"):
            receive_result(ours, JOB, begin + 0.2)
        assert time.monotonic() - begin < 2


def test_a_job_survives_a_command_line() -> None:
    assert Job.loads(JOB.dumps()) == JOB
