"""Every Prometheus metric of the worker. Base units; never a video id or a tag as a label."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from time import perf_counter

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info
from prometheus_client.metrics import MetricWrapperBase

from consumer.work import Outcome, Partition, Stage

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)


class Metrics:
    """The metrics of one worker, on a registry of its own."""

    def __init__(self) -> None:
        registry = self.registry = CollectorRegistry()
        self.build = Info("reeltag_build", "Version, bundle and profile.", registry=registry)
        self.received = Counter(
            "reeltag_events_received_total",
            "Upload events taken in.",
            ["topic"],
            registry=registry,
        )
        self.skipped = Counter(
            "reeltag_events_skipped_total",
            "Upload events that a predecessor had finished.",
            registry=registry,
        )
        self.outcomes = Counter(
            "reeltag_outcomes_total",
            "Upload events settled, by outcome.",
            ["outcome"],
            registry=registry,
        )
        self.dead_letters = Counter(
            "reeltag_dead_letters_total",
            "Dead letters, by stage and reason.",
            ["stage", "reason"],
            registry=registry,
        )
        self.retries = Counter(
            "reeltag_retries_total",
            "Tries after a transient error or a crash.",
            ["reason"],
            registry=registry,
        )
        self.crashes = Counter(
            "reeltag_decoder_crashes_total", "Decode children that died.", registry=registry
        )
        self.stage_seconds = Histogram(
            "reeltag_stage_seconds",
            "Time of one event (fetch, parse) or micro-batch (encode, tag) in a stage.",
            ["stage"],
            buckets=SECONDS,
            registry=registry,
        )
        self.event_seconds = Histogram(
            "reeltag_event_seconds",
            "From the receipt of an event to its settlement.",
            buckets=SECONDS,
            registry=registry,
        )
        self.batch_videos = Histogram(
            "reeltag_batch_videos",
            "Videos in a micro-batch.",
            buckets=(1, 2, 4, 8, 16, 32, 64),
            registry=registry,
        )
        self.in_flight = Gauge(
            "reeltag_in_flight_events", "Events taken in, not settled.", registry=registry
        )
        self.in_flight_bytes = Gauge(
            "reeltag_in_flight_bytes", "Bytes that they hold.", registry=registry
        )
        self.retrying = Gauge(
            "reeltag_retrying_events", "Events waiting for another try.", registry=registry
        )
        self.oldest_seconds = Gauge(
            "reeltag_oldest_in_flight_seconds", "Age of the oldest event.", registry=registry
        )
        self.poll_age_seconds = Gauge(
            "reeltag_poll_age_seconds", "Time since the last poll.", registry=registry
        )
        self.join_age_seconds = Gauge(
            "reeltag_join_age_seconds", "Age of an unfinished rebalance.", registry=registry
        )
        self.lag = Gauge(
            "reeltag_partition_lag_events",
            "Offsets between the committed position and the end of a partition.",
            ["topic", "partition"],
            registry=registry,
        )
        self.paused = Gauge(
            "reeltag_intake_paused", "1 while no new work is taken.", registry=registry
        )
        self.halted = Gauge(
            "reeltag_dead_letter_limit_reached",
            "1 where too many events were dead letters: only a few uploads are tried now and then.",
            registry=registry,
        )
        self.trouble = Gauge(
            "reeltag_trouble",
            "1 while the worker can't write its scratch folder, publish, or use its feature store.",
            ["what"],
            registry=registry,
        )
        self.dead_letter_share = Gauge(
            "reeltag_dead_letter_share", "Share of dead letters in the window.", registry=registry
        )
        self.assigned = Gauge("reeltag_partitions", "Partitions assigned.", registry=registry)
        self.rebalances = Counter(
            "reeltag_rebalances_total", "Rebalances, by kind.", ["kind"], registry=registry
        )
        self.commits = Counter(
            "reeltag_commits_total", "Commits of offsets, by result.", ["result"], registry=registry
        )
        self.transactions = Counter(
            "reeltag_transactions_total", "Transactions, by end.", ["end"], registry=registry
        )
        self.publish_errors = Counter(
            "reeltag_publish_errors_total",
            "Deliveries that failed and were tried again.",
            registry=registry,
        )
        self.client_errors = Counter(
            "reeltag_kafka_client_errors_total",
            "Errors that the Kafka clients told of.",
            ["error"],
            registry=registry,
        )
        for outcome in Outcome:
            self.outcomes.labels(outcome)
        for stage in (Stage.FETCH, Stage.ENCODE, Stage.TAG):
            self.stage_seconds.labels(stage)

    @contextmanager
    def stage(self, stage: Stage) -> Iterator[None]:
        """Time the block as one pass of ``stage``."""
        began = perf_counter()
        try:
            yield
        finally:
            self.stage_seconds.labels(stage).observe(perf_counter() - began)

    def forget(self, partition: Partition) -> None:
        """Remove the gauges of a partition that went away."""
        with suppress(KeyError):  # it was never set
            self.lag.remove(partition.topic, str(partition.number))

    def table(self) -> list[tuple[str, str, str]]:
        """Name, type and meaning of every metric, for the documentation."""
        rows = []
        for metric in vars(self).values():
            if isinstance(metric, MetricWrapperBase):
                described = next(iter(metric.describe()))
                suffix = {"counter": "_total", "info": "_info"}.get(described.type, "")
                rows.append((described.name + suffix, described.type, described.documentation))
        return sorted(rows)
