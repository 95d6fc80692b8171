"""What /livez, /readyz and the gauges say.

Three clocks: the age of the last poll, of the oldest event under way, of an unfinished join.
"""

from __future__ import annotations

import json
import threading
import time

from consumer.clocks import Pulse
from consumer.dead_letter_limit import DeadLetterLimit
from consumer.in_flight import InFlight
from consumer.metrics import Metrics
from consumer.troubles import Trouble, Troubles
from consumer.work import Outcome, Result

POLL_LOOP = "the poll loop"


class GroupState:
    """What the client's statistics say of the group and of the brokers."""

    def __init__(self) -> None:
        self.joining_since: float | None = time.monotonic()
        self.brokers_up = 0

    def update(self, statistics: str) -> None:
        """Take in one statistics message (librdkafka's STATISTICS.md)."""
        body = json.loads(statistics)
        if body.get("cgrp", {}).get("join_state") == "steady":
            self.joining_since = None
        elif self.joining_since is None:
            self.joining_since = time.monotonic()
        self.brokers_up = sum(
            1
            for broker in body.get("brokers", {}).values()
            if broker.get("state") == "UP" and broker.get("nodeid", -1) >= 0
        )

    @property
    def join_age(self) -> float:
        """Seconds since an unfinished rebalance began; 0 where there is none."""
        since = self.joining_since
        return 0.0 if since is None else time.monotonic() - since


class Health:
    """Counts outcomes, and knows what is wrong."""

    def __init__(
        self,
        pulse: Pulse,
        in_flight: InFlight,
        limit: DeadLetterLimit,
        metrics: Metrics,
        troubles: Troubles,
        in_flight_stale_seconds: float,
    ) -> None:
        self._pulse = pulse
        self._in_flight = in_flight
        self._metrics = metrics
        self._troubles = troubles
        self._stale = in_flight_stale_seconds
        self.limit = limit
        self.group = GroupState()
        self.ending = threading.Event()

    def settled(self, result: Result) -> None:
        """Count one outcome; called once for each event of ours, by the publisher's thread."""
        self._metrics.outcomes.labels(result.outcome).inc()
        self._metrics.event_seconds.observe(time.monotonic() - result.work.began)
        if result.outcome is not Outcome.SUPERSEDED:
            self.limit.count(result.outcome)
        if result.stage is not None:
            self._metrics.dead_letters.labels(result.stage, result.reason).inc()

    def no_room(self) -> bool:
        """Whether there is no scratch space; it is so until an event under way finds some."""
        if not self._troubles.lasts(Trouble.SCRATCH):
            return False
        if not self._in_flight.load().events:
            self._troubles.over(Trouble.SCRATCH)
        return True

    def livez(self) -> list[str]:
        """What only a restart can mend."""
        wrong = self._pulse.stale()
        oldest = self._in_flight.load().oldest_seconds
        if oldest > self._stale:
            wrong.append(f"an event has been under way for {oldest:.0f} s")
        return wrong

    def readyz(self) -> list[str]:
        """Why no work is done now."""
        wrong = self.livez()
        if self.ending.is_set():
            wrong.append("ending")
        if self.limit.reached:
            wrong.append("too many dead letters: only a few uploads are tried now and then")
        wrong += self._troubles.stopping()
        if not self.group.brokers_up:
            wrong.append("no connection to Kafka")
        elif self.group.joining_since is not None:
            wrong.append(f"joining the group for {self.group.join_age:.0f} s")
        return wrong

    def look(self) -> None:
        """Set the gauges."""
        load = self._in_flight.load()
        self._metrics.in_flight.set(load.events)
        self._metrics.in_flight_bytes.set(load.bytes)
        self._metrics.retrying.set(load.retries)
        self._metrics.oldest_seconds.set(load.oldest_seconds)
        self._metrics.poll_age_seconds.set(self._pulse.age(POLL_LOOP) or 0.0)
        self._metrics.join_age_seconds.set(self.group.join_age)
        for trouble in Trouble:
            self._metrics.trouble.labels(trouble).set(self._troubles.lasts(trouble))
        self._metrics.halted.set(self.limit.reached)
        self._metrics.dead_letter_share.set(self.limit.share)
