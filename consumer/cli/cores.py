"""One thread a call for numpy and FAISS."""

from __future__ import annotations

import os


def one_thread_a_call() -> None:
    """Settle it; to be called before either is loaded. What the environment says stands.

    Each brings a pool of its own that keeps waiting on the cores for a while after a call. Side by
    side, and under the worker's own threads, two such pools cost more than they save.
    """
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(name, "1")
