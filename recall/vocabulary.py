"""The vocabulary: the tags that may be published, and how people write them.

A tag's index is its place in the vocabulary and never changes: trained arrays rely on it. So
nothing is ever taken out. A blocked tag is not proposed any more; a merged tag stands for another.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from encoders.errors import CorpusError
from recall.fields import optional, strings
from recall.normal import key, short_digest, slug
from recall.ragged import Ragged

I32 = npt.NDArray[np.int32]

REDIRECTED_NOWHERE = -1


class Status(StrEnum):
    """Whether a tag may be published."""

    ACTIVE = "active"
    BLOCKED = "blocked"


@dataclass(frozen=True, slots=True)
class Tag:
    """One tag. ``parents`` and ``merged_into`` are tag ids; the latter names its stand-in."""

    tag_id: str
    name: str
    aliases: tuple[str, ...] = ()
    description: str = ""
    parents: tuple[str, ...] = ()
    status: Status = Status.ACTIVE
    merged_into: str | None = None

    def to_json(self) -> dict[str, object]:
        """The design's keys; ``merged_into`` only where there is one."""
        row: dict[str, object] = {
            "tag_id": self.tag_id,
            "name": self.name,
            "aliases": list(self.aliases),
            "description": self.description,
            "parents": list(self.parents),
            "status": self.status.value,
        }
        if self.merged_into is not None:
            row["merged_into"] = self.merged_into
        return row

    @classmethod
    def from_json(cls, row: Mapping[str, object]) -> Tag:
        """Read one line; raises ValueError with the reason when it does not follow the format."""
        name = optional(row, "name") or optional(row, "tag_id") or ""
        if not key(name):
            raise ValueError("name is missing or empty")
        merged = row.get("merged_into")
        if merged is not None and not isinstance(merged, str):
            raise ValueError("merged_into must be a tag id")
        status = row.get("status") or Status.ACTIVE
        if status not in tuple(Status):
            raise ValueError(f"status must be active or blocked, not {status!r}")
        return cls(
            tag_id=optional(row, "tag_id") or slug(name),
            name=name.strip(),
            aliases=strings(row, "aliases"),
            description=optional(row, "description") or "",
            parents=strings(row, "parents"),
            status=Status(str(status)),
            merged_into=merged,
        )


@dataclass(frozen=True)
class Vocabulary:
    """Tags in the order of their indexes. Changes return a new vocabulary with the same indexes."""

    tags: tuple[Tag, ...]

    def __post_init__(self) -> None:
        if len(self._by_id) != len(self.tags):
            counts = Counter(tag.tag_id for tag in self.tags)
            twice, _ = counts.most_common(1)[0]
            raise CorpusError(
                f"tag id {twice!r} stands twice in the vocabulary; give each tag its own id"
            )
        for tag in self.tags:
            for other in (*tag.parents, *([tag.merged_into] if tag.merged_into else [])):
                if other not in self._by_id:
                    raise CorpusError(
                        f"tag {tag.tag_id!r} refers to {other!r}, which is not there; add it"
                    )

    def __len__(self) -> int:
        return len(self.tags)

    @cached_property
    def _by_id(self) -> dict[str, int]:
        return {tag.tag_id: index for index, tag in enumerate(self.tags)}

    @cached_property
    def _by_key(self) -> dict[str, int]:
        """Names before aliases; of two tags that claim the same words, the earlier one has them."""
        found: dict[str, int] = {}
        for index, tag in enumerate(self.tags):
            found.setdefault(key(tag.name), index)
        for index, tag in enumerate(self.tags):
            for alias in tag.aliases:
                found.setdefault(key(alias), index)
        return found

    def index_of(self, name: str) -> int | None:
        """The index of a tag by its id, a name or an alias; a merged tag gives its stand-in."""
        index = self._by_id.get(name)
        if index is None:
            index = self._by_key.get(key(name))
        return None if index is None else self._stand_in(index)

    def _stand_in(self, index: int) -> int:
        seen = {index}
        while (merged := self.tags[index].merged_into) is not None:
            index = self._by_id[merged]
            if index in seen:
                raise CorpusError(f"tag {merged!r} is merged into itself; undo one of the merges")
            seen.add(index)
        return index

    @cached_property
    def stand_ins(self) -> I32:
        """int32 [V]: each tag's index, or that of the tag it was merged into."""
        return np.asarray([self._stand_in(i) for i in range(len(self))], dtype=np.int32)

    @cached_property
    def redirects(self) -> I32:
        """int32 [V]: as :attr:`stand_ins`, and -1 where the tag may not be proposed (blocked)."""
        blocked = np.asarray([tag.status is Status.BLOCKED for tag in self.tags], dtype=bool)
        if not len(self):
            return self.stand_ins
        return np.where(blocked[self.stand_ins], REDIRECTED_NOWHERE, self.stand_ins).astype(
            np.int32
        )

    @cached_property
    def spellings(self) -> tuple[tuple[str, int], ...]:
        """Every name and alias, with the index of the tag that it stands for."""
        pairs: list[tuple[str, int]] = []
        for index, tag in enumerate(self.tags):
            pairs.extend((spelling, self._stand_in(index)) for spelling in (tag.name, *tag.aliases))
        return tuple(pairs)

    @cached_property
    def above(self) -> Ragged[np.int32]:
        """To each tag, the indexes of all that it implies: its parents, theirs, and so on."""
        parents = {
            index: [self._stand_in(self._by_id[parent]) for parent in tag.parents]
            for index, tag in enumerate(self.tags)
            if tag.parents
        }
        lists = [np.zeros(0, dtype=np.int32)] * len(self)  # most tags of most vocabularies
        for index in parents:
            found: set[int] = set()
            left = [index]
            while left:
                new = set(parents.get(left.pop(), ())) - found
                found |= new
                left += new
            lists[index] = np.asarray(sorted(found - {index}), dtype=np.int32)
        return Ragged.of(lists, np.int32)

    def add(self, tag: Tag) -> Vocabulary:
        """With one more tag at the end; raises CorpusError where its id or name is taken."""
        if tag.tag_id in self._by_id or self.index_of(tag.name) is not None:
            raise CorpusError(
                f"the tag {tag.name!r} is already in the vocabulary; choose another name or id"
            )
        return Vocabulary((*self.tags, tag))

    def repeated(self, tags: int) -> Vocabulary:
        """Its tags over and over, ``tags`` in all, parents beside them: to measure at such a size.

        Each block of them has ids and names of its own; the last block's tags may lack parents.
        """
        base = len(self)

        def numbered(name: str, block: int) -> str:
            return f"{name}{block or ''}"

        return Vocabulary(
            tuple(
                Tag(
                    numbered(f"{tag.tag_id}-", block),
                    numbered(tag.name, block),
                    parents=tuple(
                        numbered(f"{parent}-", block)
                        for parent in tag.parents
                        if block * base + self._by_id[parent] < tags
                    ),
                )
                for block in range(-(-tags // base))
                for tag in self.tags[: tags - block * base]
            )
        )

    def block(self, name: str, *, blocked: bool = True) -> Vocabulary:
        """With one tag blocked, or released again."""
        index = self.require(name)
        status = Status.BLOCKED if blocked else Status.ACTIVE
        return self._with(index, replace(self.tags[index], status=status))

    def merge(self, name: str, into: str) -> Vocabulary:
        """With one tag standing for another: its labels, names and scores count for that one."""
        source, target = self.require(name), self.require(into)
        if source == target:
            raise CorpusError(
                f"{name!r} and {into!r} are the same tag already; name two different tags"
            )
        return self._with(source, replace(self.tags[source], merged_into=self.tags[target].tag_id))

    def require(self, name: str) -> int:
        """As :meth:`index_of`; raises CorpusError for a tag that is not there."""
        index = self.index_of(name)
        if index is None:
            raise CorpusError(
                f"the vocabulary has no tag {name!r}; check its spelling, or add it first"
            )
        return index

    def _with(self, index: int, tag: Tag) -> Vocabulary:
        return Vocabulary((*self.tags[:index], tag, *self.tags[index + 1 :]))

    @classmethod
    def from_names(cls, names: Iterable[str]) -> Vocabulary:
        """A vocabulary of bare names, ids made from them, in the order given.

        Names that compare equal are one tag. An id never reads like another tag's name: where
        it would (``C`` and ``C++``), it has a short digest after it.
        """
        unique: dict[str, str] = {}
        for name in names:
            if key(name):
                unique.setdefault(key(name), name.strip())
        taken: set[str] = set()
        tags = []
        for same, name in unique.items():
            tag_id = slug(name)
            if tag_id in taken or (tag_id != same and tag_id in unique):
                tag_id = f"{tag_id}-{short_digest(same)}"
            taken.add(tag_id)
            tags.append(Tag(tag_id, name))
        return cls(tuple(tags))

    @classmethod
    def read(cls, path: Path) -> Vocabulary:
        """Read JSON Lines; raises CorpusError that names the first line which can't be used."""
        try:
            lines = path.read_text(encoding="utf-8-sig").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise CorpusError(
                f"can't read the vocabulary {path}: {error}; give a UTF-8 file of JSON Lines"
            ) from error
        tags = []
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
                if not isinstance(row, dict):
                    raise ValueError("not a JSON object")
                tags.append(Tag.from_json(row))
            except ValueError as error:
                raise CorpusError(
                    f"line {number} of the vocabulary {path} can't be used: {error}; correct it"
                ) from error
        return cls(tuple(tags))

    def write(self, path: Path) -> None:
        """Write JSON Lines that :meth:`read` gives back unchanged."""
        rows = (json.dumps(tag.to_json(), ensure_ascii=False) + "\n" for tag in self.tags)
        path.write_text("".join(rows), encoding="utf-8")


def resolve(vocabulary: Vocabulary, names: Sequence[str]) -> tuple[tuple[int, ...], int]:
    """Indexes of tags (each once, in order) and how many of them the vocabulary lacks."""
    labels: dict[int, None] = {}
    outside: set[str] = set()
    for name in names:
        index = vocabulary.index_of(name)
        if index is None:
            outside.add(key(name))
        else:
            labels[index] = None
    return tuple(labels), len(outside)
