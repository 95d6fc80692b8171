"""A tag is at least as likely as what implies it: a video of a corgi is one of a dog.

The vocabulary says which tags stand above which. Labels often leave the wider one out, so that what
learns from them takes it for less likely than it is.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from recall.ragged import Ragged

F64 = npt.NDArray[np.float64]
I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]


def raised(logits: F64, tags: I32, video: I64, above: Ragged[np.int32]) -> F64:
    """Each candidate's logit, or that of a tag below it in the same video, if that is greater.

    ``logits``, ``tags``, ``video`` [n]: one a candidate. ``above``: to each tag of the vocabulary,
    all tags that it implies.
    """
    at, owner = above.positions(tags)
    if not len(at):
        return logits
    keys = video * len(above) + tags
    order = np.argsort(keys, kind="stable")
    wanted = video[owner] * len(above) + above.values[at]
    place = order[np.minimum(np.searchsorted(keys, wanted, sorter=order), len(keys) - 1)]
    there = keys[place] == wanted
    found = logits.copy()
    np.maximum.at(found, place[there], logits[owner[there]])
    return found
