"""Losses over positives and sampled negatives, and how each treats a tag that isn't labelled.

All take logits of the positives [B, P] and negatives [B, n], ``real`` [B, P] (padding is 0) and
``kept`` [B, P, n] (a negative that may stand against a positive), and give one number.

    contrastive   InfoNCE (van den Oord et al. 2018): each positive against the kept negatives
    plain         binary cross-entropy, an unlabelled tag counts as wrong
    asymmetric    Ridnik et al. 2021, arXiv 2009.14119: easy negatives fade, the easiest are cut off
    selective     Ben-Baruch et al. 2022, arXiv 2110.10955: unlabelled tags that the model itself
                  finds likely, or that are common, are left out; the rest counts as wrong
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid, softplus

FOCUS = 4.0  # γ- of the asymmetric loss
CUT = 0.05  # its probability margin m
LIKELY = 0.5  # a selective loss leaves out negatives above this probability …
IGNORED_SHARE = 0.02  # … or among this share of the likeliest, whichever is more

Loss = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]


class LossName(StrEnum):
    """The losses by name."""

    CONTRASTIVE = "contrastive"
    PLAIN = "plain"
    ASYMMETRIC = "asymmetric"
    SELECTIVE = "selective"


def contrastive(positive: Tensor, negative: Tensor, real: Tensor, kept: Tensor) -> Tensor:
    """-log e^s⁺ / (e^s⁺ + Σ e^s⁻), averaged over the positives of a video, then over videos."""
    against = negative.unsqueeze(1).masked_fill(~kept, -torch.inf)
    crowd = torch.logsumexp(
        torch.cat([against, torch.full_like(positive, -1e4).unsqueeze(-1)], dim=-1), dim=-1
    )
    return _by_video(softplus(crowd - positive), real)


def plain(positive: Tensor, negative: Tensor, real: Tensor, kept: Tensor) -> Tensor:
    """Binary cross-entropy over positives and negatives."""
    return _by_video(-logsigmoid(positive), real) + _negatives(softplus(negative), kept)


def asymmetric(positive: Tensor, negative: Tensor, real: Tensor, kept: Tensor) -> Tensor:
    """ASL with γ+ = 0, γ- = 4 and a margin of 0.05."""
    chance = (torch.sigmoid(negative) - CUT).clamp(min=0)
    wrong = -(chance**FOCUS) * torch.log((1 - chance).clamp(min=1e-6))
    return _by_video(-logsigmoid(positive), real) + _negatives(wrong, kept)


def selective(positive: Tensor, negative: Tensor, real: Tensor, kept: Tensor) -> Tensor:
    """Likely unlabelled tags are unknown; the others are wrong, asymmetrically."""
    with torch.no_grad():
        most = max(1, round(negative.shape[1] * IGNORED_SHARE))
        likeliest = negative.topk(most, dim=1).values[:, -1:]
        known = (torch.sigmoid(negative) < LIKELY) & (negative < likeliest)
    return asymmetric(positive, negative, real, kept & known.unsqueeze(1))


LOSSES: dict[LossName, Loss] = {
    LossName.CONTRASTIVE: contrastive,
    LossName.PLAIN: plain,
    LossName.ASYMMETRIC: asymmetric,
    LossName.SELECTIVE: selective,
}


def _by_video(loss: Tensor, real: Tensor) -> Tensor:
    each = (loss * real).sum(dim=1) / real.sum(dim=1).clamp(min=1)
    return each.mean()


def _negatives(loss: Tensor, kept: Tensor) -> Tensor:
    allowed = kept.all(dim=1)
    return (loss * allowed).sum(dim=1).mean()
