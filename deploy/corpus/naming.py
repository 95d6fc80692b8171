"""Recognising what a title names: the concept that a phrase ends in, and its tags."""

from collections.abc import Iterable

from deploy.corpus.concepts import SUBGROUP_TAGS, Concept
from deploy.corpus.vocabulary import clean

_COLOURS = ("red ", "green ", "blue ", "black ", "white ", "brown ", "yellow ")
# Names of concepts that, at the end of another's title, mostly mean something else.
_DOUBTFUL = {
    "set",
    "star",
    "ring",
    "key",
    "bank",
    "bar",
    "fan",
    "light",
    "rock",
    "mouse",
    "seal",
    "nut and bolt",
    "ice",
    "hole",
    "seat",
    "tie",
    "plate",
    "watch",
    "card",
    "sun",
    "eye",
    "hand",
    "mouth",
    "ear",
    "leg",
    "foot",
    "nose",
    "tongue",
    "heart",
    "wing",
    "box",
    "pill",
    "chart",
    "map",
    "drop",
    "wave",
    "crane",
    "ram",
    "bat",
    "baby",
}


class Lexicon:
    """Finds concepts by name; its last words decide ("crowned crane" is a crane, not a crown)."""

    def __init__(self, concepts: Iterable[Concept]) -> None:
        self._concepts: dict[str, Concept] = {}
        for concept in concepts:
            name = concept.name.lower().replace(" face", "")
            for colour in _COLOURS:
                name = name.removeprefix(colour)
            cleaned = clean(name)
            if cleaned:
                self._concepts.setdefault(cleaned, concept)

    def concept_of(self, phrase: str) -> Concept | None:
        """The concept whose name the phrase is, or ends in."""
        words = phrase.split()
        for start in range(max(0, len(words) - 3), len(words)):
            cleaned = clean(" ".join(words[start:]))
            if cleaned in self._concepts and (start == 0 or cleaned not in _DOUBTFUL):
                return self._concepts[cleaned]
        return None

    def tags_of(self, phrase: str) -> frozenset[str]:
        """What anything of that name is for sure: the name, its words and its class; often none."""
        concept = self.concept_of(phrase)
        if concept is None:
            return frozenset()
        sure = {tag for tag in concept.tags if f" {tag} " in f" {concept.name.lower()} "}
        sure = {tag for tag in sure if not tag.startswith(_COLOURS) or tag in phrase}
        sure.update(tag for tag in SUBGROUP_TAGS.get(concept.subgroup, ()) if tag in concept.tags)
        if concept.subgroup == "country-flag":
            sure.update(concept.tags)
        return frozenset(sure)

    def topic_of(self, phrase: str) -> str | None:
        """The subgroup of the concept that the phrase names."""
        concept = self.concept_of(phrase)
        return concept.subgroup if concept else None
