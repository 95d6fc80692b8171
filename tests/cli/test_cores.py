"""One thread a call of numpy and FAISS, where the worker's own threads share the cores."""

from __future__ import annotations

import os

import pytest

from consumer.cli.cores import one_thread_a_call


def test_a_call_has_one_thread_unless_the_environment_says_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "environ", {"OPENBLAS_NUM_THREADS": "3"})
    one_thread_a_call()
    assert os.environ == {"OPENBLAS_NUM_THREADS": "3", "OMP_NUM_THREADS": "1"}
