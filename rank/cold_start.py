"""Cold start: a bundle made of tag names alone, without one labelled video."""

from __future__ import annotations

from dataclasses import dataclass

from rank import peers
from rank.bootstrap import Bootstrap
from rank.comparing import Row, compared
from rank.metrics import Scored
from rank.peers import Peer
from rank.systems import System
from rank.variants import Ground, retrained
from recall.splits import Split
from recall.storage import load_recaller


@dataclass(frozen=True, slots=True)
class ColdStart:
    """What names alone reach: a row beside the product, and recall of the candidates.

    ``zero_shot``: the similarity of a tag's name to words and picture, beside the cold bundle.
    """

    row: Row
    zero_shot: Row
    recall: float
    candidates_per_video: float
    commonest: float


def cold_start(ground: Ground, product: Scored, bootstrap: Bootstrap) -> ColdStart:
    """Train on the vocabulary without any label, and measure on the test videos.

    The thresholds are those that give validation videos 3.12 tags each, which takes no label.
    """
    trained = retrained(ground, "cold-start", lambda _: ())
    recall = trained.evaluation.recall
    scored = trained.evaluation.scored[System.RECALL_RANKING]
    names = load_recaller(trained.bundle.recall).channels.bridge.vectors
    validation = peers.by_name(ground.dataset.of(Split.VAL), names)
    peer = Peer("zero_shot", validation, peers.by_name(ground.test, names))
    rival = peers.compare(peer, ground.true.tags, ground.true.outside)
    threshold = trained.evaluation.thresholds[System.RECALL_RANKING]
    return ColdStart(
        compared("cold start", [scored], [product], bootstrap, threshold),
        compared("zero_shot", [rival.scored], [scored], bootstrap, rival.threshold),
        recall.overall,
        recall.candidates_per_video,
        recall.commonest,
    )
