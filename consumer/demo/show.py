"""The demo from start to end: broker, worker, uploads, table, totals."""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from confluent_kafka import Producer
from rich.console import Console

from consumer.demo.broker import Broker, open_broker
from consumer.demo.plan import Upload, plan_uploads, read_samples
from consumer.demo.results import Result, Results
from consumer.demo.table import WIDEST, ResultTable
from consumer.demo.worker import RunningWorker, running_worker

OUTCOMES = ("tagged", "degraded", "deleted", "dead_lettered")
AT_ONCE = 4
"""Uploads under way at a time, so that milliseconds are a video's and not the queue's."""
PATIENCE_SECONDS = 90.0
"""Longest wait for the next result before the demo gives up."""


def show_demo(
    *, bundle: Path, samples: Path, bootstrap: str | None, keep_running: bool, out: Path
) -> bool:
    """Run the demo, print it and write ``out``/summary.json; whether all ended as planned."""
    out = out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    clips = read_samples(samples)
    uploads = plan_uploads(clips, out / "uploads")
    console = Console(highlight=False, width=None if sys.stdout.isatty() else WIDEST)
    with open_broker(bootstrap) as broker, ResultTable(len(uploads), console) as table:
        where = "Kafka broker" if bootstrap else "embedded Kafka broker"
        table.say(f"{where} {broker.address}; the worker loads {bundle}")
        folders = (*{clip.path.parent for clip in clips}, out / "uploads")
        with running_worker(broker, bundle, folders, out / "worker.log") as worker:
            table.say("the worker tags")
            table.head()
            started = time.monotonic()
            results = _upload_all(uploads, broker, worker, table)
            seconds = time.monotonic() - started
            surprises = _surprises(uploads, results, worker)
            summary = _summary(uploads, results, seconds)
            (out / "summary.json").write_text(json.dumps(summary, indent=2) + "\n")
            table.finish()
            _print_totals(console, summary, surprises, worker, out)
            if keep_running:
                _stay(console, broker, worker)
            status = worker.stop()
    if status != 0:
        surprises = [*surprises, f"the worker ended with status {status}: see {worker.log}"]
        console.print(surprises[-1], style="red")
    return not surprises


def _upload_all(
    uploads: Sequence[Upload], broker: Broker, worker: RunningWorker, table: ResultTable
) -> list[Result]:
    """Send every upload, a few at a time, and gather what comes out until nothing more does."""
    producer = Producer({**broker.client, "partitioner": "murmur2_random"})
    results = Results(broker)
    gathered: list[Result] = []
    unsent = list(reversed(uploads))
    last = time.monotonic()
    while unsent or results.waiting:
        while unsent and len(results.waiting) < AT_ONCE:
            upload = unsent.pop()
            results.expect(upload)
            producer.produce(broker.uploads, upload.value, upload.key.encode())
        producer.poll(0)
        result = results.poll(0.1)
        if result is not None:
            gathered.append(result)
            table.add(result)
            last = time.monotonic()
        worker.check()
        if time.monotonic() - last > PATIENCE_SECONDS:
            break
    results.close()
    return gathered


def _surprises(
    uploads: Sequence[Upload], results: Sequence[Result], worker: RunningWorker
) -> list[str]:
    """What did not end as planned, a sentence each; the worker's own counters must agree."""
    seen = {id(result.upload): result.outcome for result in results}
    surprises = [
        f"{upload.key} was to end {upload.expected} and ended {seen.get(id(upload), 'nowhere')}"
        for upload in uploads
        if seen.get(id(upload)) != upload.expected
    ]
    counted = worker.counted("reeltag_outcomes_total", "outcome", len(uploads))
    planned = Counter(upload.expected for upload in uploads)
    surprises += [
        f"the worker counted {counted.get(outcome, 0)} {outcome} and {planned[outcome]} were sent"
        for outcome in OUTCOMES
        if counted.get(outcome, 0) != planned[outcome]
    ]
    return surprises


def _summary(
    uploads: Sequence[Upload], results: Sequence[Result], seconds: float
) -> dict[str, int | float]:
    ended = Counter(result.outcome for result in results)
    return {
        "uploads": len(uploads),
        **{outcome: ended[outcome] for outcome in OUTCOMES},
        "seconds": round(seconds, 2),
        "videos_per_second": round(len(results) / seconds, 2),
    }


def _print_totals(
    console: Console,
    summary: dict[str, int | float],
    surprises: Sequence[str],
    worker: RunningWorker,
    out: Path,
) -> None:
    ended = ", ".join(f"{summary[outcome]} {outcome.replace('_', ' ')}" for outcome in OUTCOMES)
    console.print(
        f"\n{summary['uploads']} uploads: {ended}; "
        f"{summary['seconds']} s, {summary['videos_per_second']} a second"
    )
    console.print(f"Prometheus page: {worker.metrics_page}   Summary: {out / 'summary.json'}")
    for surprise in surprises:
        console.print(f"Not as planned: {surprise}", style="red")
    if not surprises:
        console.print("All as planned: what had to fail failed, and only that.", style="green")


def _stay(console: Console, broker: Broker, worker: RunningWorker) -> None:
    """Leave broker and worker up until Ctrl-C."""
    console.print(
        f"Still running: broker {broker.address}, topics {', '.join(broker.topics)}. "
        "Ctrl-C ends it."
    )
    try:
        while True:
            worker.check()
            time.sleep(1)
    except KeyboardInterrupt:
        console.print("Draining …")
