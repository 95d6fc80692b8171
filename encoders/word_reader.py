"""A reader that also reads the words in a video, where the profile asks for them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Protocol

from encoders.access import Access
from encoders.deadline import Deadline
from encoders.features import U8, Media, Modality, State, Words
from encoders.limits import Limits
from encoders.on_screen import ScreenReader, differs
from encoders.profile import Profile
from encoders.sandbox import MediaReader
from encoders.words import state_of, tidy

MOST_SHOWN = 60
"""Words kept of what the screen shows: the text encoder sees some hundred in all."""


class Reader(Protocol):
    """Reads videos; ``encoders.sandbox.MediaReader`` is one."""

    def read(self, uri: str, access: Access) -> Media: ...

    def fingerprint(self, uri: str, access: Access) -> str | None: ...


class Screen(Protocol):
    """Reads lines of text in frames; ``encoders.on_screen.ScreenReader`` is one."""

    def lines(self, frame: U8) -> Sequence[str]: ...


@contextmanager
def open_reader(profile: Profile, limits: Limits, children: int) -> Iterator[Reader]:
    """A reader for ``profile``, decode children first: they must not inherit threads.

    Raises ProfileError where the profile asks for extra words and their networks are missing.
    """
    with MediaReader(
        limits, profile.frame_spec, profile.sound_spec, children, words=profile.extra_words
    ) as reader:
        if profile.extra_words is None:
            yield reader
        else:
            yield WordReader(reader, ScreenReader.open(), profile, limits.wall_seconds)


class WordReader:
    """Adds to each video the words that it shows. Thread-safe.

    Words that can't be read never fail a video: a note says why, on Modality.TEXT. ``seconds`` is
    what a video may take in all, reading included; what is under way then is still finished.
    """

    def __init__(self, reader: Reader, screen: Screen, profile: Profile, seconds: float) -> None:
        self._reader = reader
        self._screen = screen
        self._profile = profile
        self._seconds = seconds

    def read(self, uri: str, access: Access) -> Media:
        """As ``MediaReader.read``, with ``Media.shown``."""
        deadline = Deadline.after(self._seconds)
        media = self._reader.read(uri, access)
        shown, note = self._shown(media.legible, deadline)
        notes = {**media.notes, Modality.TEXT: note} if note else media.notes
        return replace(media, legible=None, speech=None, shown=shown, notes=notes)

    def fingerprint(self, uri: str, access: Access) -> str | None:
        """See ``MediaReader.fingerprint``."""
        return self._reader.fingerprint(uri, access)

    def _shown(self, frames: U8 | None, deadline: Deadline) -> tuple[str, str]:
        """What different frames show, each line once, and why not all was read."""
        lines: dict[str, str] = {}
        note, before = "", None
        for frame in () if frames is None else frames:
            if before is not None and not differs(frame, before):
                continue
            if deadline.passed:
                note = "there was no time left to read all on-screen text"
                break
            before = frame
            try:
                found = self._screen.lines(frame)
            except Exception as error:  # whatever fails in the engine costs its words, no more
                note = f"on-screen text could not be read ({type(error).__name__})"
                break
            for line in found:
                lines.setdefault(line.casefold(), tidy(line))
        legible = (line for line in lines.values() if self._readable(line))
        return first_words(" ".join(legible), MOST_SHOWN), note

    def _readable(self, text: str) -> bool:
        """Whether the profile reads this script: a foreign caption must not spoil the title."""
        words = Words(text)
        return state_of(words, self._profile.languages, self._profile.scripts) is State.USED


def first_words(text: str, most: int) -> str:
    """``text`` cut after ``most`` words."""
    return " ".join(text.split()[:most])
