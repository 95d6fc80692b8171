"""What each choice is worth: columns of the last stage, modalities, parts of the ranker.

Columns are cheap to judge: the last stage is fitted again without them, on the same candidates.
Needs the extra ``train``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce

import numpy as np
import numpy.typing as npt

from encoders.features import Modality
from rank import combining, last_training
from rank.bootstrap import Bootstrap
from rank.columns import COLUMNS
from rank.combining import CombinePlan, Examples
from rank.comparing import Row, compared
from rank.gathering import without
from rank.implied import raised
from rank.last_training import Known
from rank.metrics import Scored
from rank.ranker_table import PARTS_OF, Arena, averaged, deprived
from rank.systems import System
from rank.tagger import Tagger
from rank.training import Trained, known
from rank.variants import Ground
from recall.candidates import CHANNELS, Channel, Hint
from recall.ragged import Ragged

Bools = npt.NDArray[np.bool_]

MOST_ROWS = 250_000  # candidates that the last stage is fitted on, with and without
GROUPS: Mapping[str, tuple[str, ...]] = {
    "exact words and names": (Hint.WORDS, Hint.NAME),
    "uploader's history": (Hint.UPLOADER,),
    "meaning of names": (Hint.MEANING, Hint.BRIDGE, Hint.SOUND_BRIDGE),
    "the ranker": ("ranker",),
}
"""Hints by what they have in common; the prior belongs to none."""


@dataclass(frozen=True, slots=True, eq=False)
class Stage:
    """What the last stage learns from (training, then validation videos) and is judged on.

    ``above``: to each tag, those that it implies; nothing where the labels spoke against it.
    """

    learned: tuple[Known, ...]
    test: Examples
    above: Ragged[np.int32]


def stage_of(ground: Ground, trained: Trained, tagger: Tagger) -> Stage:
    """Candidates of training videos as if never seen, of validation videos and of test videos."""
    learned = known(ground.dataset, trained.stages, seed=0, most=MOST_ROWS)
    features = list(ground.test.each())
    found = tagger.recaller.candidates(features, ground.test.uploader_ids())
    everything = np.arange(len(ground.test), dtype=np.int64)
    logits = tagger.ranker.logits(features, found)
    test = last_training.examples_of(ground.test, found, logits, everything)
    above = tagger.vocabulary.above
    unheard = np.full(len(above), not tagger.operating.implied)
    return Stage(learned, test, combining.without(above, unheard))


def last_stage(ground: Ground, stage: Stage, bootstrap: Bootstrap) -> list[Row]:
    """The last stage fitted on everything, and without each group of columns."""
    plan = CombinePlan()
    changes: dict[str, tuple[Stage, CombinePlan]] = {"everything": (stage, plan)}
    for channel in CHANNELS:
        changes[f"without the {channel.value} channel"] = (without_channel(stage, channel), plan)
    for name, columns in GROUPS.items():
        changes[f"without {name}"] = (without_columns(stage, columns), plan)
    if sum(int(part.examples.labelled.sum()) for part in stage.learned) >= plan.many:
        changes["a single round of trees"] = (stage, replace(plan, rounds=1))
        changes["without company and opinions"] = (stage, replace(plan, many=2**62))
    if len(stage.above.values):
        none = combining.without(stage.above, np.ones(len(stage.above), bool))
        changes["without what a tag implies"] = (replace(stage, above=none), plan)
    changes["regression without trees"] = (stage, replace(plan, share=0.0))
    changes["training videos alone"] = (replace(stage, learned=stage.learned[:1]), plan)
    whole: list[Scored] = []
    rows = []
    for done, (name, (changed, how)) in enumerate(changes.items()):
        scored = refitted(ground, changed, how)
        whole = whole or [scored]
        rows.append(compared(name, [scored], whole, bootstrap))
        ground.progress("last stage refitted", done + 1, len(changes))
    return rows


def refitted(ground: Ground, stage: Stage, plan: CombinePlan) -> Scored:
    """The test candidates by a last stage of their own."""
    learned = reduce(last_training.both, stage.learned)
    combiner = combining.fit(learned.examples, learned.labels, learned.groups, plan, seed=0)
    test = stage.test
    logits = raised(combiner(test.rows, test.tags, test.video), test.tags, test.video, stage.above)
    right = [
        np.isin(test.tags[test.video == row], ground.true.tags[row])
        for row in range(len(ground.test))
    ]
    return Scored(
        test.video,
        test.tags,
        logits,
        np.concatenate([np.zeros(0, bool), *right]),
        ground.true.pairs,
    )


def without_columns(stage: Stage, names: Sequence[str]) -> Stage:
    """The same candidates, some columns unknown for all."""
    gone = {f"{name}{rest}" for name in names for rest in ("", " below best", " place")}
    places = [place for place, name in enumerate(COLUMNS) if name in gone]

    def blind(examples: Examples) -> Examples:
        rows = examples.rows.copy()
        rows[:, places] = np.nan
        return replace(examples, rows=rows)

    return altered(stage, blind)


def without_channel(stage: Stage, channel: Channel) -> Stage:
    """Without what a channel says, and without candidates that nobody else proposes."""
    own, count = COLUMNS.index(channel.value), COLUMNS.index("channels")
    others = [COLUMNS.index(other.value) for other in CHANNELS if other is not channel]

    def proposed(examples: Examples) -> Examples:
        left = examples.take(np.asarray(~np.isnan(examples.rows[:, others]).all(axis=1)))
        rows = left.rows.copy()
        rows[:, count] -= ~np.isnan(rows[:, own])
        return replace(left, rows=rows)

    return without_columns(altered(stage, proposed), (channel.value,))


def altered(stage: Stage, how: Callable[[Examples], Examples]) -> Stage:
    """All candidates, those learned from and those of test videos, changed in the same way."""
    learned = tuple(replace(part, examples=how(part.examples)) for part in stage.learned)
    return replace(stage, learned=learned, test=how(stage.test))


def missing_modality(ground: Ground, tagger: Tagger, bootstrap: Bootstrap) -> list[Row]:
    """The product on the same test videos, as if each modality were missing.

    Accuracy and tags a video are at the product's own threshold, as a worker would publish.
    """
    threshold = tagger.operating.standard[System.RECALL_RANKING]
    whole = _product(ground, tagger, None)
    rows = [compared("nothing missing", [whole], [whole], bootstrap, threshold)]
    for modality in Modality:
        scored = _product(ground, tagger, modality)
        name = f"no {NOUNS[modality]}"
        rows.append(compared(name, [scored], [whole], bootstrap, threshold))
        ground.progress("modalities left out", len(rows), 1 + len(Modality))
    return rows


NOUNS: Mapping[Modality, str] = {
    Modality.TEXT: "words",
    Modality.VISUAL: "picture",
    Modality.AUDIO: "sound",
}


def _product(ground: Ground, tagger: Tagger, missing: Modality | None) -> Scored:
    features = list(ground.test.each())
    if missing is not None:
        features = [without(item, missing) for item in features]
    sets = tagger.recaller.candidates(features, ground.test.uploader_ids())
    scores = [found for found, _ in tagger.score(features, sets)]
    tags = [item.tags for item in sets]
    return Scored.of(tags, scores, ground.true.tags, ground.true.outside)


def ranker_parts(ground: Ground, arena: Arena, bootstrap: Bootstrap) -> list[Row]:
    """The ranker alone with a part taken out of it, trained anew with the same steps."""
    plain = arena.prepared
    frozen = replace(arena.plan.fit, bert_epochs=0)
    undropped = replace(arena.plan, size=replace(arena.plan.size, part_dropout=0.0))
    whole_only = replace(arena.plan, size=replace(arena.plan.size, moments=False))
    changes: dict[str, tuple[Arena, bool]] = {
        "everything": (arena, True),
        "the small BERT frozen": (replace(arena, plan=replace(arena.plan, fit=frozen)), False),
        "no small BERT": (replace(arena, prepared=deprived(plain, ["words"])), False),
        "no moments": (replace(arena, plan=whole_only), False),
        "no moments, mean in place of NeXtVLAD": (
            replace(arena, prepared=averaged(plain), plan=whole_only),
            False,
        ),
        "no modality dropout": (replace(arena, plan=undropped), True),
    }
    rows: list[Row] = []
    whole: list[Scored] = []
    lacking: dict[Modality, Scored] = {}
    for name, (changed, tried) in changes.items():
        labels, stage = changed.labels(), f"ranker, {name}"
        plan = changed.plan.fit
        towers = changed.train(plan, labels, seed=0, progress=ground.progress, stage=stage)
        scored = changed.ranked(towers)
        whole = whole or [scored]
        rows.append(compared(name, [scored], whole, bootstrap))
        for modality in Modality if tried else ():
            less = changed.ranked(towers, deprived(changed.prepared, PARTS_OF[modality]))
            lacking.setdefault(modality, less)
            label = f"{name}, no {NOUNS[modality]} at test time"
            rows.append(compared(label, [less], [lacking[modality]], bootstrap))
    return rows
