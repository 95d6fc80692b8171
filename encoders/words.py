"""Whether a profile's text encoder can read the words of a video."""

from __future__ import annotations

import unicodedata
from collections.abc import Set

from encoders.features import State, Words

UNDETERMINED = frozenset({"", "und", "mul", "mis", "zxx"})  # ISO 639-2: no language is meant


def state_of(words: Words, languages: Set[str], scripts: Set[str]) -> State:
    """MISSING without words, UNSUPPORTED in another language or script, else USED.

    A language tag (BCP 47) counts by its first part. Without one, words are taken as given as long
    as at least half of their letters belong to the ``scripts`` (Unicode's names: LATIN, CJK …);
    uploaders' apps often tag wrongly, so the letters are looked at in any case.
    """
    if not words.text:
        return State.MISSING
    language = (words.language or "").replace("_", "-").partition("-")[0].lower()
    if language not in UNDETERMINED and language not in languages:
        return State.UNSUPPORTED
    letters = [letter for letter in words.text if letter.isalpha()]
    known = sum(unicodedata.name(letter, "").partition(" ")[0] in scripts for letter in letters)
    return State.USED if 2 * known >= len(letters) else State.UNSUPPORTED


def tidy(text: str) -> str:
    """``text`` without what no tokenizer can take: lone surrogates become question marks."""
    return text.encode("utf-8", "replace").decode("utf-8")
