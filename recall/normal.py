"""One way of comparing words: what counts as the same tag, and what counts as the same word."""

from __future__ import annotations

import hashlib
import re
import unicodedata

_SPACE = re.compile(r"\s+")
_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)?")
# Scripts written without spaces between words: there, single characters stand in for words.
_UNSPACED = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")


def key(name: str) -> str:
    """The form in which tags are compared: NFKC, case folded, single spaces, no leading ``#``."""
    folded = unicodedata.normalize("NFKC", name).casefold()
    return _SPACE.sub(" ", folded.replace("_", " ")).strip().lstrip("#").strip()


def slug(name: str) -> str:
    """An identifier made from a tag's name: its letters and digits, joined by hyphens.

    A name without any (an emoji, say) gets a short digest instead.
    """
    words = _WORD.findall(key(name).replace("'", ""))
    return "-".join(words) or short_digest(key(name))


def short_digest(text: str) -> str:
    """Eight hexadecimal digits that depend on nothing but the text."""
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def singular(word: str) -> str:
    """Fold an English plural: ``puppies`` → ``puppy``, ``boxes`` → ``box``, ``dogs`` → ``dog``.

    Blunt on purpose: both sides of every comparison are folded alike, so a wrong stem harms little.
    """
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    if len(word) > 4 and word.endswith(("ses", "xes", "zes", "ches", "shes")):
        return word[:-2]
    if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return word[:-1]
    return word


def tokens(text: str) -> list[str]:
    """The words of a text in order, folded as :func:`key` and :func:`singular` do.

    Runs of an unspaced script (Chinese, Japanese, Thai, …) are split into single characters.
    """
    found: list[str] = []
    for word in _WORD.findall(key(text)):
        if _UNSPACED.search(word):
            found.extend(word)
        else:
            found.append(singular(word.removesuffix("'s").replace("'", "")))
    return [word for word in found if word]
