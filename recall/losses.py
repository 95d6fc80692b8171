"""Losses for labels with holes in them. Needs torch; training only.

A tag that a video is not labelled with is unknown, not wrong: the losses differ in how hard they
push such a tag down.
"""

from __future__ import annotations

from enum import StrEnum

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid


class Loss(StrEnum):
    """Which loss trains the classifier."""

    PLAIN = "plain"
    ASYMMETRIC = "asymmetric"
    SELECTIVE = "selective"


def plain(logits: Tensor, labels: Tensor, weight: Tensor) -> Tensor:
    """Binary cross-entropy: every unlabelled tag counts as wrong. All [B, C]; gives a number."""
    terms = labels * logsigmoid(logits) + (1 - labels) * logsigmoid(-logits)
    return -(weight * terms).sum() / len(logits)


def asymmetric(
    logits: Tensor, labels: Tensor, weight: Tensor, *, focus: float = 2.0, margin: float = 0.02
) -> Tensor:
    """Asymmetric loss (Ridnik et al. 2021, eq. 4–7), positive focus 0.

    An unlabelled tag's chance p is first lowered by ``margin`` (below it there is no push at all)
    and its term weighed by p ** ``focus``: the easy ones fade. All [B, C]; gives a number.
    """
    chance = torch.sigmoid(logits)
    lowered = (chance - margin).clamp(min=0)
    push = lowered.detach() ** focus * torch.log1p(-lowered.clamp(max=1 - 1e-6))
    return -(weight * (labels * logsigmoid(logits) + (1 - labels) * push)).sum() / len(logits)


def selective(
    logits: Tensor,
    labels: Tensor,
    weight: Tensor,
    prior: Tensor,
    *,
    focus: float = 3.0,
    margin: float = 0.02,
    doubtful: int = 5,
    common: float = 0.03,
) -> Tensor:
    """Class-aware selective loss (Ben-Baruch et al. 2022, section 3), for partial labels.

    Of a video's unlabelled tags, the ``doubtful`` likeliest and those whose ``prior`` [C] (share of
    videos believed to have them) is above ``common`` are ignored; the others are pushed down as in
    :func:`asymmetric`, with their own focus. All [B, C]; gives a number.
    """
    unlabelled = logits.detach().masked_fill(labels > 0, -torch.inf)
    ignored = (prior > common).expand_as(logits).clone()
    ignored.scatter_(1, unlabelled.topk(min(doubtful, logits.shape[1]), dim=1).indices, True)
    kept = weight * torch.where((labels == 0) & ignored, 0.0, 1.0)
    return asymmetric(logits, labels, kept, focus=focus, margin=margin)


def alike(fused: Tensor, tags: Tensor, temperature: float) -> Tensor:
    """Videos that share tags should lie close: supervised contrastive loss (Khosla et al. 2020).

    ``fused`` [B, f] of unit length; ``tags`` [B, C]: each video's tags, weighed by rarity. Where
    the paper counts pairs of one class, a pair here counts by the cosine of its two tag lists.
    """
    lists = tags / tags.norm(dim=1, keepdim=True).clamp(min=1e-6)
    itself = torch.eye(len(fused), dtype=torch.bool)
    shared = (lists @ lists.T).masked_fill(itself, 0.0)
    near = (fused @ fused.T / temperature).masked_fill(itself, -1e4)
    per_video = -(shared * near.log_softmax(dim=1)).sum(1) / shared.sum(1).clamp(min=1e-6)
    paired = (shared.sum(1) > 1e-6).float()
    loss: Tensor = (per_video * paired).sum() / paired.sum().clamp(min=1.0)
    return loss
