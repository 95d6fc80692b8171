"""A worker process with light stages: `python -m tests.light_worker`, settings from REELTAG_*.

Everything but the stages is the worker that `reeltag run` runs. REELTAG_TEST_SECONDS is how long
each event takes, REELTAG_TEST_GENERATION the bundle's generation. REELTAG_TEST_DIE_AT is a call of
the Kafka clients at which the process kills itself, like ``before commit_transaction 3``.
"""

from __future__ import annotations

import os
import signal
from collections import Counter
from typing import Any

from confluent_kafka import Consumer, Producer

from consumer.kafka import Clients
from consumer.logs import start_logging
from consumer.settings import load_settings
from consumer.signals import EndSignals
from consumer.worker import run_until_told
from tests.light import light_stages

CALLS: Counter[str] = Counter()


def die(when: str, call: str) -> None:
    """SIGKILL, if this is the call to die at."""
    wanted = os.environ.get("REELTAG_TEST_DIE_AT", "").split()
    if wanted[:2] == [when, call]:
        CALLS[call] += 1
        if CALLS[call] >= int(wanted[2]):
            os.kill(os.getpid(), signal.SIGKILL)


class DyingProducer(Producer):
    """A producer whose process dies before or after a call."""

    def produce(self, *arguments: Any, **named: Any) -> None:
        die("before", "produce")
        super().produce(*arguments, **named)
        die("after", "produce")

    def send_offsets_to_transaction(self, *arguments: Any) -> None:
        die("before", "send_offsets")
        super().send_offsets_to_transaction(*arguments)
        die("after", "send_offsets")

    def commit_transaction(self, *arguments: Any) -> None:
        die("before", "commit_transaction")
        super().commit_transaction(*arguments)
        die("after", "commit_transaction")


class DyingConsumer(Consumer):
    """A consumer whose process dies before or after a commit."""

    def commit(self, *arguments: Any, **named: Any) -> Any:
        die("before", "commit")
        answer = super().commit(*arguments, **named)
        die("after", "commit")
        return answer


def main() -> None:
    """Work until SIGTERM."""
    signals = EndSignals()
    settings = load_settings()
    start_logging(settings)
    seconds = float(os.environ.get("REELTAG_TEST_SECONDS", "0.002"))
    generation = int(os.environ.get("REELTAG_TEST_GENERATION", "1"))
    clients = Clients(DyingConsumer, DyingProducer)
    run_until_told(settings, light_stages(seconds, generation), signals, clients)


if __name__ == "__main__":
    main()
