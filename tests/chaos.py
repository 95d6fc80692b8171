"""The crash campaign: `python -m tests.chaos --seed 1 --faults 100 [--delivery exactly_once]`.

Three worker processes read one topic of 12 partitions while thousands of uploads come in; at random
they are killed (SIGKILL), stopped past their session (SIGSTOP), asked to end (SIGTERM), joined by
others, and the broker is killed and started again. Then everything is left to settle, and an audit
reads the topics. A worker that ended itself is started again, as a supervisor would.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.delivery import Audit, Scene, audit
from tests.kafka_broker import NO_BROKER, kafka_home, start_cluster
from tests.worker_process import WorkerProcess

PARTITIONS = 12
WORKERS = 3
VIDEOS = 400
KINDS = [
    *["light:ok"] * 30,
    *["light:slow:0.05"] * 6,
    "light:slow:1.5",
    "light:degraded",
    "light:missing",
    "light:refused",
    "light:crash",
    "light:down:2",
    "light:broken",
]
FAULTS = {"kill": 30, "stop": 12, "term": 22, "join": 14, "leave": 12, "broker": 10}


class Campaign:
    """One run of it."""

    def __init__(self, scene: Scene, seed: int, say: bool = True) -> None:
        self.scene = scene
        self.random = random.Random(seed)
        self.faults: Counter[str] = Counter()
        self.ended: Counter[int] = Counter()
        self.stopped: list[tuple[float, WorkerProcess]] = []
        self.running: list[WorkerProcess] = []
        self.say = say

    def run(self, faults: int, uploads: int, pause: float) -> Audit:
        """All faults, spread over all uploads; then the audit."""
        for _ in range(WORKERS):
            self.running.append(self.scene.worker())
        self.running[0].wait_ready(60)
        each = max(1, uploads // faults)
        sent = 0
        while self.faults.total() < faults:
            for _ in range(each):
                self._upload(sent)
                sent += 1
            self._fault()
            self._nurse()
            time.sleep(self.random.uniform(0.3, 1.0) * pause)
            self._nurse()
        for _, worker in self.stopped:
            worker.signal(signal.SIGCONT)
        self.stopped.clear()
        deadline = time.monotonic() + 300
        self.scene.producer.flush(60)
        while not self.scene.settled():
            self._nurse()
            time.sleep(0.5)
            if time.monotonic() > deadline:
                print("not settled:", self.scene.committed(), self.scene.ends(self.scene.uploads))
                break
        statuses = [worker.terminate(90) for worker in self.running]
        self.ended.update(statuses)
        return audit(self.scene)

    def _upload(self, number: int) -> None:
        video = f"video-{self.random.randrange(VIDEOS)}"
        if self.random.random() < 0.03:
            self.scene.upload(video, event_type="deleted")
        elif self.random.random() < 0.01:
            self.scene.send(video, b"{not json", f"bad-{number}")
        else:
            self.scene.upload(video, self.random.choice(KINDS))

    def _fault(self) -> None:
        [kind] = self.random.choices(list(FAULTS), list(FAULTS.values()))
        alive = [
            worker for worker in self.running if worker.running and not self._is_stopped(worker)
        ]
        if kind != "broker" and kind != "join" and not alive:
            kind = "join"
        if kind == "join" and len(self.running) > WORKERS + 2:
            kind = "term"
        self.faults[kind] += 1
        if kind == "broker":
            hard = self.random.random() < 0.5
            self.scene.broker.restart(
                signal.SIGKILL if hard else signal.SIGTERM, self.random.uniform(0, 6)
            )
        elif kind == "join":
            self.running.append(self.scene.worker())
        else:
            victim = self.random.choice(alive)
            if kind == "kill":
                victim.kill()
            elif kind == "stop":
                victim.signal(signal.SIGSTOP)
                self.stopped.append((time.monotonic() + self.random.uniform(2, 14), victim))
            else:
                victim.signal(signal.SIGTERM)
            if kind in ("kill", "term"):
                self.running.append(self.scene.worker())
        if self.say:
            print(f"{self.faults.total():4d} {kind}", flush=True)

    def _is_stopped(self, worker: WorkerProcess) -> bool:
        return any(worker is other for _, other in self.stopped)

    def _nurse(self) -> None:
        """What a supervisor does: wake the stopped, replace those that ended by themselves."""
        now = time.monotonic()
        for due, worker in list(self.stopped):
            if due <= now:
                worker.signal(signal.SIGCONT)
                self.stopped.remove((due, worker))
        for worker in list(self.running):
            if not worker.running:
                status = worker.process.returncode
                self.ended[status] += 1
                self.running.remove(worker)
                if status not in (0, -signal.SIGKILL):
                    print(f"     a worker ended with status {status}: {worker.log}", flush=True)
        while len(self.running) < WORKERS:
            self.running.append(self.scene.worker())


def main() -> int:
    """Print what came out; the exit status is 0 only if nothing was lost or came out wrong."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 16))
    parser.add_argument("--faults", type=int, default=100)
    parser.add_argument("--uploads", type=int, default=4000)
    parser.add_argument("--pause", type=float, default=2.0, help="about the seconds between faults")
    parser.add_argument("--delivery", default="both", help="at_least_once, exactly_once or both")
    parser.add_argument("--protocol", default="classic", help="or consumer (KIP-848)")
    parser.add_argument("--keep", type=Path, help="folder for the logs")
    given = parser.parse_args()
    home = kafka_home()
    if home is None or not shutil.which("java"):
        print(NO_BROKER, file=sys.stderr)
        return 2
    modes = ["at_least_once", "exactly_once"] if given.delivery == "both" else [given.delivery]
    fine = True
    for mode in modes:
        folder = (given.keep or Path(tempfile.mkdtemp(prefix="reeltag-chaos-"))) / mode
        folder.mkdir(parents=True, exist_ok=True)
        print(f"seed {given.seed}, {given.faults} faults, {mode}; logs in {folder}", flush=True)
        began = time.monotonic()
        broker = start_cluster(home, folder / "kafka")
        environment = {}
        if given.protocol == "consumer":
            environment = {"REELTAG_KAFKA__GROUP_PROTOCOL": "consumer"}
        scene = Scene(broker, folder, PARTITIONS, mode, environment)
        campaign = Campaign(scene, given.seed)
        try:
            found = campaign.run(given.faults, given.uploads, given.pause)
        finally:
            scene.stop()
            broker.stop()
        exact = mode == "at_least_once" or not (found.repeated or found.out_of_order)
        fine &= found.clean and exact
        print(
            json.dumps(
                {
                    "delivery": mode,
                    "seed": given.seed,
                    "seconds": round(time.monotonic() - began),
                    "faults": dict(campaign.faults),
                    "exit_statuses": {str(k): v for k, v in campaign.ended.items()},
                    "uploads": len(scene.sent),
                    "outcomes": found.outcomes,
                    "lost": len(found.lost),
                    "repeated": found.repeated,
                    "unequal_ids": found.unequal_ids,
                    "two_ends": len(found.two_ends),
                    "out_of_order": found.out_of_order,
                },
                indent=1,
            ),
            flush=True,
        )
        for sent in found.lost[:20]:
            print("lost:", sent)
        for source in found.two_ends[:20]:
            print("ended in two ways:", source)
    return 0 if fine else 1


if __name__ == "__main__":
    raise SystemExit(main())
