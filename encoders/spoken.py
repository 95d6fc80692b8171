"""Speech: what is said in a sound, by Whisper base; nothing is decoded where nobody speaks.

Radford et al., Robust Speech Recognition via Large-Scale Weak Supervision (arXiv 2212.04356), on
CTranslate2 in int8. Greedy and without temperature: the same sound gives the same words.
"""

from __future__ import annotations

from collections.abc import Set
from typing import Any, Self

import numpy as np

from encoders.extra_words import SPEC, SPEECH_OR_NOT, WHISPER, missing, verified
from encoders.features import F32

LEAST_SPEECH = 1.0
"""Seconds of speech in all below which there is nothing to write down."""
MOST_TOKENS = 160
"""Of each half minute; some 120 words. A decoder that loops ends there."""
LEAST_LIKELY = -1.0
"""Mean log probability of its tokens below which a segment is guesswork (as in Whisper)."""
MOST_REPETITIVE = 2.4
"""Compression ratio above which a segment is a loop (as in Whisper)."""
SURE = 0.5
"""Probability of the language below which it is unknown."""


class Listener:
    """Writes down speech. Thread-safe; ``workers`` sounds at once, each on one thread."""

    def __init__(self, model: Any, speech: Any, languages: Set[str]) -> None:
        self._model = model
        self._speech = speech
        self._languages = languages

    @classmethod
    def open(cls, languages: Set[str], workers: int) -> Self:
        """Verify the networks and load them; what is not said in ``languages`` is left out.

        Raises ProfileError.
        """
        verified([SPEECH_OR_NOT])
        try:
            from faster_whisper import WhisperModel
            from faster_whisper.vad import VadOptions, get_speech_timestamps
        except ImportError as error:
            raise missing() from error
        files = {
            name: b"".join(path.read_bytes() for path in verified(parts))
            for name, parts in WHISPER.items()
        }
        model = WhisperModel(
            "whisper-base",
            device="cpu",
            compute_type="int8",
            cpu_threads=1,
            num_workers=workers,
            files=files,
        )
        options = VadOptions(
            min_speech_duration_ms=250, min_silence_duration_ms=500, speech_pad_ms=200
        )
        return cls(model, lambda sound: get_speech_timestamps(sound, options), languages)

    def hear(self, sound: F32) -> str:
        """What is said in float32 [n] at 16 kHz; empty where nobody speaks."""
        spans = self._speech(sound)
        spoken = np.concatenate(
            [np.zeros(0, np.float32), *(sound[span["start"] : span["end"]] for span in spans)]
        )
        if len(spoken) < LEAST_SPEECH * SPEC.speech.rate:
            return ""
        segments, info = self._model.transcribe(
            spoken,
            beam_size=1,
            temperature=0.0,
            condition_on_previous_text=False,
            without_timestamps=True,
            max_new_tokens=MOST_TOKENS,
        )
        if info.language not in self._languages or info.language_probability < SURE:
            return ""  # and nothing is decoded: segments are made as they are asked for
        return " ".join(
            segment.text.strip()
            for segment in segments
            if segment.avg_logprob >= LEAST_LIKELY and segment.compression_ratio <= MOST_REPETITIVE
        )
