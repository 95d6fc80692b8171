"""From people's words to tags: cleaning, one spelling a tag, and what a tag implies."""

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

_DATA = Path(__file__).parent / "data"


def _lines(name: str) -> list[str]:
    text = (_DATA / name).read_text(encoding="utf-8")
    return [line.strip() for line in text.splitlines() if line.strip() and line[0] != "#"]


def _words(name: str) -> frozenset[str]:
    return frozenset(word.strip() for word in " ".join(_lines(name)).split(",") if word.strip())


def _aliases() -> Iterator[tuple[str, str]]:
    for line in _lines("spellings.txt"):
        name, *others = (part.strip() for part in line.split("|"))
        yield from ((other, name) for other in others if other != name)


def _implied() -> Iterator[tuple[str, tuple[str, ...]]]:
    for line in _lines("implied.txt"):
        name, rest = line.split(":")
        yield name.strip(), tuple(part.strip() for part in rest.split(","))


BLOCKED: frozenset[str] = _words("blocked.txt")
ALIASES: Mapping[str, str] = dict(_aliases())
IMPLIED: Mapping[str, tuple[str, ...]] = dict(_implied())
_NOT_KINDS = _words("not_kinds.txt")
_NO_HEAD = frozenset(["with", "of", "in", "and", "on", "no", "at", "for", "without", "a"])
_KEPT_ENDINGS = _words("plural_looking.txt")


def singular(word: str) -> str:
    """The word without a regular English plural ending; words that only look plural are kept."""
    if len(word) < 4 or not word.endswith("s") or word.endswith(tuple(_KEPT_ENDINGS)):
        return word
    if word.endswith("ies") and len(word) > 5:
        return word[:-3] + "y"
    if word.endswith(("ches", "shes", "xes", "sses", "zes")):
        return word[:-2]
    return word[:-1]


def clean(raw: str) -> str | None:
    """A person's keyword as a tag name, or None where it can't be one.

    Lower case, words parted by single spaces, singular, an alias replaced by its tag's name.
    """
    text = raw.lower().replace("’", "'").replace("“", "").replace("”", "").replace("_", " ")
    text = re.sub(r"\((?:[^)]*)\)", " ", text).replace("&", " and ").replace("-", " ")
    text = re.sub(r"\s+", " ", re.sub(r"[^a-zà-ÿ' ]", " ", text)).strip(" '")
    text = re.sub(r"^(?:a|an|the|some) ", "", text)
    text = re.sub(r"^(?:person|man|woman|people) (?!in |with |and )(?=\w)", "", text)
    text = re.sub(r"(?<=\w) face$", "", text)
    if not 3 <= len(text) <= 28 or len(text.split()) > 4:
        return "tv" if text == "tv" else None
    if text in BLOCKED:
        return None
    if text in ALIASES:
        return ALIASES[text]
    words = text.split()
    text = " ".join([*words[:-1], singular(words[-1])])
    text = ALIASES.get(text, text)
    return None if text in BLOCKED else text


def closure(
    tags: Iterable[str], implied: Mapping[str, tuple[str, ...]] = IMPLIED
) -> frozenset[str]:
    """The tags and all that they imply, transitively."""
    found: set[str] = set()
    waiting = list(tags)
    while waiting:
        tag = waiting.pop()
        if tag not in found:
            found.add(tag)
            waiting.extend(implied.get(tag, ()))
    return frozenset(found)


def implications(tags: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """What each tag implies: IMPLIED, and that a kind of thing is it (a police car is a car)."""
    known = frozenset(tags)
    found = {
        tag: tuple(name for name in names if name in known)
        for tag, names in IMPLIED.items()
        if tag in known
    }
    for tag in sorted(known):
        words = tag.split()
        if len(words) < 2 or tag in _NOT_KINDS or _NO_HEAD & set(words):
            continue
        heads = (" ".join(words[start:]) for start in range(1, len(words)))
        head = next((name for name in heads if name in known), None)
        if head is not None and head not in found.get(tag, ()):
            found[tag] = (*found.get(tag, ()), head)
    return {tag: names for tag, names in found.items() if names}
