"""A reader that also reads the words in a video, where the profile asks for them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from threading import Semaphore
from typing import Protocol

from encoders.access import Access
from encoders.deadline import Deadline
from encoders.features import F32, U8, Media, Modality, State, Words
from encoders.limits import Limits
from encoders.on_screen import ScreenReader, differs
from encoders.profile import Profile
from encoders.sandbox import MediaReader
from encoders.spoken import Listener
from encoders.words import state_of, tidy

SHARE = 0.25
"""Of a video's time (``Limits.wall_seconds``), what its words may take on top."""
MOST_SHOWN = 60
MOST_SPOKEN = 120
"""Words kept of what the screen shows and of what is said."""


class Reader(Protocol):
    """Reads videos; ``encoders.sandbox.MediaReader`` is one."""

    def read(self, uri: str, access: Access) -> Media: ...

    def fingerprint(self, uri: str, access: Access) -> str | None: ...


class Screen(Protocol):
    """Reads lines of text in frames; ``encoders.on_screen.ScreenReader`` is one."""

    def lines(self, frame: U8) -> Sequence[str]: ...


class Ear(Protocol):
    """Writes down speech; ``encoders.spoken.Listener`` is one."""

    def hear(self, sound: F32) -> str: ...


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
            screen, ear = ScreenReader.open(), Listener.open(profile.languages, children)
            seconds = SHARE * limits.wall_seconds
            yield WordReader(reader, screen, ear, profile, seconds, at_once=children)


class WordReader:
    """Adds to each video the words that it shows and says. Thread-safe.

    Words that can't be read never fail a video: a note says why, on Modality.TEXT. ``seconds`` is
    what a video's words may take beside fetching and decoding it, waiting not counted; what is
    under way then is still finished. ``at_once`` videos' words are read side by side, each on one
    core, however many threads fetch.
    """

    def __init__(
        self,
        reader: Reader,
        screen: Screen,
        ear: Ear,
        profile: Profile,
        seconds: float,
        *,
        at_once: int = 1,
    ) -> None:
        self._reader = reader
        self._screen = screen
        self._ear = ear
        self._profile = profile
        self._seconds = seconds
        self._turns = Semaphore(at_once)

    def read(self, uri: str, access: Access) -> Media:
        """As ``MediaReader.read``, with ``Media.shown`` and ``Media.spoken``."""
        media = self._reader.read(uri, access)
        with self._turns:
            deadline = Deadline.after(self._seconds)
            shown, unread = self._shown(media.legible, deadline)
            spoken, unheard = self._spoken(media.speech, deadline)
        note = "; ".join(part for part in (unread, unheard) if part)
        return replace(
            media,
            legible=None,
            speech=None,
            shown=shown,
            spoken=spoken,
            notes={**media.notes, Modality.TEXT: note} if note else media.notes,
        )

    def fingerprint(self, uri: str, access: Access) -> str | None:
        """See ``MediaReader.fingerprint``."""
        return self._reader.fingerprint(uri, access)

    def _shown(self, frames: U8 | None, deadline: Deadline) -> tuple[str, str]:
        """What different frames show, each line once, and why not all was read.

        Networks lose a space more often than a letter: of readings alike but for their spaces, the
        one of most words counts.
        """
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
                key = "".join(line.casefold().split())
                lines[key] = max(lines.get(key, ""), tidy(line), key=lambda text: len(text.split()))
        legible = (line for line in lines.values() if self._readable(line))
        return first_words(" ".join(legible), MOST_SHOWN), note

    def _spoken(self, sound: F32 | None, deadline: Deadline) -> tuple[str, str]:
        """What is said, and why it could not be heard."""
        if sound is None:
            return "", ""
        if deadline.passed:
            return "", "there was no time left to listen for speech"
        try:
            return first_words(tidy(self._ear.hear(sound)), MOST_SPOKEN), ""
        except Exception as error:
            return "", f"speech could not be heard ({type(error).__name__})"

    def _readable(self, text: str) -> bool:
        """Whether the profile reads this script: a foreign caption must not spoil the title."""
        words = Words(text)
        return state_of(words, self._profile.languages, self._profile.scripts) is State.USED


def first_words(text: str, most: int) -> str:
    """``text`` cut after ``most`` words."""
    return " ".join(text.split()[:most])
