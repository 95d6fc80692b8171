"""Every error that reeltag raises on purpose.

    ReeltagError                   one sentence that says what to do
    ├── SettingError               a setting is missing or out of range
    ├── ProfileError               weights are missing, or their checksum differs
    ├── CorpusError                a corpus, truth or vocabulary file can't be used
    ├── BundleError                a bundle is missing, damaged or of another profile
    ├── EventError                 an upload event that doesn't follow the contract
    ├── MediaError                 a video could not be fetched or decoded
    │   ├── Refused                the allow-list or a limit forbids it
    │   ├── NotFound               there is nothing at that URI
    │   ├── Unreadable             not a video, or damaged beyond use
    │   ├── DecoderCrashed         the decoder died or had to be killed
    │   └── Unavailable            a time-out or an error of the server: worth another try
    │       └── NoRoom             this machine's scratch folder is full, or can't be written
    ├── StoreError                 the feature store can't be read or written
    └── KafkaError                 the broker can't be used as configured

``transient`` says whether another try may help; the worker sorts by it, and by nothing else.
"""

from __future__ import annotations


class ReeltagError(Exception):
    """Base of every error raised on purpose; its text is one sentence that says what to do."""

    transient: bool = False
    reason: str = "error"


class SettingError(ReeltagError):
    """A setting is missing, unknown or out of range."""

    reason = "setting"


class ProfileError(ReeltagError):
    """An encoder profile's weights are missing, or their checksum differs."""

    reason = "profile"


class CorpusError(ReeltagError):
    """A corpus, truth or vocabulary file can't be used."""

    reason = "corpus"


class BundleError(ReeltagError):
    """A bundle is missing, damaged, or made for another profile."""

    reason = "bundle"


class EventError(ReeltagError):
    """An upload event that does not follow the wire contract."""

    reason = "bad_event"


class MediaError(ReeltagError):
    """A video could not be fetched or decoded."""

    reason = "media"


class Refused(MediaError):
    """The allow-list or a limit (bytes, pixels, duration) forbids this video."""

    reason = "refused"


class NotFound(MediaError):
    """There is nothing at that URI."""

    reason = "not_found"


class Unreadable(MediaError):
    """Not a video, or damaged beyond use."""

    reason = "unreadable"


class DecoderCrashed(MediaError):
    """The decoder died, or was killed at its limit of time or memory."""

    reason = "decoder_crashed"


class Unavailable(MediaError):
    """A time-out, a dropped connection or a 5xx answer: another try may help."""

    transient = True
    reason = "unavailable"


class NoRoom(Unavailable):
    """This machine's scratch folder is full, or can't be written: no fault of the video."""

    reason = "no_room"


class StoreError(ReeltagError):
    """The feature store can't be read or written: another try may help."""

    transient = True
    reason = "feature_store"


class KafkaError(ReeltagError):
    """The broker can't be used as configured, or did not answer in time."""

    transient = True
    reason = "kafka"
