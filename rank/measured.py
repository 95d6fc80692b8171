"""What ``reeltag tables`` measured, and how it is written down."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from rank.cold_start import ColdStart
from rank.comparing import Row
from rank.cost import RankingCost
from rank.coverage import Covered
from rank.evaluation import Evaluation
from rank.new_tags import Found
from rank.points import Reached, Unsupported
from rank.ranker_table import FalseNegatives


@dataclass(frozen=True, slots=True, eq=False)
class Tables:
    """Everything that was measured. What was not run once a seed is of the first seed."""

    evaluations: Sequence[Evaluation]
    negatives: Mapping[str, Row]
    guard: FalseNegatives
    losses: Sequence[Covered]
    products: Sequence[Covered]
    peers: Sequence[Row]
    cost: RankingCost
    columns: Sequence[Row]
    missing: Sequence[Row]
    parts: Sequence[Row]
    points: Sequence[Reached | Unsupported]
    cold: ColdStart
    new_tags: Sequence[Found]

    def to_json(self) -> dict[str, object]:
        """The evaluation's keys (mean over seeds), then ``ranking``, ``seeds``, ``peers``, …"""
        each = [evaluation.to_json() for evaluation in self.evaluations]
        mean = mean_of(each)
        if not isinstance(mean, dict):
            raise TypeError("an evaluation is an object")
        cold = self.cold
        return {
            **mean,
            "ranking": {name: row.to_json() for name, row in self.negatives.items()},
            "false_negatives": asdict(self.guard),
            "peers": {row.name: row.to_json() for row in self.peers},
            "labels_hidden": [asdict(found) for found in (*self.products, *self.losses)],
            "new_tags": [asdict(found) for found in self.new_tags],
            "cold_start": {
                **cold.row.to_json(),
                "zero_shot": cold.zero_shot.to_json(),
                "overall_recall": cold.recall,
                "candidates_per_video": cold.candidates_per_video,
                "commonest_tags": cold.commonest,
            },
            "operating_points": [asdict(point) for point in self.points],
            "ablations": {
                "last_stage": _rows(self.columns),
                "missing_modality": _rows(self.missing),
                "ranker": _rows(self.parts),
            },
            "ranking_cost": {**asdict(self.cost), "times": self.cost.times},
            "seeds": {str(seed): row for seed, row in enumerate(each)},
        }


def _rows(rows: Sequence[Row]) -> dict[str, object]:
    return {row.name: row.to_json() for row in rows}


def mean_of(values: Sequence[object]) -> object:
    """The mean of equally shaped JSON values; text and whole numbers that agree stay."""
    first = values[0]
    if isinstance(first, dict):
        rows = [value for value in values if isinstance(value, dict)]
        return {key: mean_of([row[key] for row in rows]) for key in first}
    if isinstance(first, list):
        lists = [value for value in values if isinstance(value, list)]
        return [mean_of(list(items)) for items in zip(*lists, strict=True)]
    if isinstance(first, int | float) and not all(value == first for value in values):
        return float(np.mean([value for value in values if isinstance(value, int | float)]))
    return first
