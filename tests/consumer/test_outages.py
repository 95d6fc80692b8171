"""Dependencies away: the broker, the servers that videos come from; TLS and SASL to reach it."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.consumer.test_worker import counted, eventually, page
from tests.delivery import Scene, audit
from tests.kafka_broker import Broker, free_port, kafka_home, start_cluster

pytestmark = pytest.mark.kafka
PASSWORD = "correct-horse"


@pytest.mark.slow
@pytest.mark.parametrize("delivery", ["at_least_once", "exactly_once"])
def test_the_broker_is_away_for_a_minute(own_kafka: Broker, tmp_path: Path, delivery: str) -> None:
    """The worker waits, says that it isn't ready, is alive, and loses nothing."""
    scene = Scene(own_kafka, tmp_path, delivery=delivery)
    try:
        for number in range(200):
            scene.upload(f"v{number}", "light:slow:0.05")
        scene.producer.flush()
        worker = scene.worker()
        eventually(lambda: worker.metric("reeltag_outcomes_total", outcome="tagged") > 10)
        for node in own_kafka.nodes:
            node.kill()
        eventually(lambda: "no connection to Kafka" in worker.get("/readyz")[1])
        time.sleep(45)
        alive = worker.running
        for node in own_kafka.nodes:
            node.start()
        own_kafka.wait()
        if not alive:  # a hung client call: its supervisor starts it again
            assert worker.process.returncode == 70
            worker = scene.worker()
        scene.wait(90)
        eventually(lambda: worker.get("/readyz")[0] == 200)
        assert worker.terminate() == 0
        found = audit(scene)
        assert found.clean
        if delivery == "exactly_once":
            assert (found.repeated, found.out_of_order) == (0, 0)
    finally:
        scene.stop()


@pytest.mark.parametrize("scene", ["exactly_once"], indirect=True)
def test_what_videos_come_from_is_away_for_a_while(scene: Scene) -> None:
    """Intake stops at the bound of waiting events, nothing is lost, all goes on afterwards."""
    for number in range(60):
        scene.upload(f"v{number}", "light:down:4")
    with scene.here(retry_events=10, retry_seconds=0.3, in_flight_events=20) as worker:
        eventually(lambda: "reeltag_intake_paused 1.0" in page(worker, "/metrics")[1])
        scene.wait(60)
        assert counted(worker) == {"tagged": 60}
    found = audit(scene)
    assert found.clean
    assert found.repeated == 0


@pytest.fixture
def locked(tmp_path: Path) -> Iterator[tuple[Broker, dict[str, str]]]:
    """A broker that demands TLS and a password, and what a client needs for it."""
    home = kafka_home()
    if home is None or not shutil.which("java") or not shutil.which("keytool"):
        pytest.skip("needs Kafka's jars (KAFKA_HOME or ../shared/kafka), java and keytool")
    store, cert = tmp_path / "broker.p12", tmp_path / "broker.pem"
    keytool = ["keytool", "-keystore", str(store), "-storepass", PASSWORD, "-alias", "broker"]
    names = ["-dname", "CN=127.0.0.1", "-ext", "SAN=IP:127.0.0.1", "-validity", "9"]
    make = [*keytool, "-genkeypair", "-keyalg", "RSA", "-storetype", "PKCS12", *names]
    subprocess.run(make, check=True, capture_output=True)
    export = [*keytool, "-exportcert", "-rfc", "-file", str(cert)]
    subprocess.run(export, check=True, capture_output=True)
    port = free_port()
    user = (
        "org.apache.kafka.common.security.plain.PlainLoginModule required "
        f'username="u" password="{PASSWORD}" user_worker="{PASSWORD}";'
    )
    more = f"""
ssl.keystore.location={store}
ssl.keystore.type=PKCS12
ssl.keystore.password={PASSWORD}
sasl.enabled.mechanisms=PLAIN
listener.name.locked.plain.sasl.jaas.config={user}
"""
    broker = start_cluster(
        home, tmp_path / "kafka", listeners={"LOCKED": ("SASL_SSL", port)}, more=more
    )
    client = {
        "REELTAG_BOOTSTRAP_SERVERS": f"127.0.0.1:{port}",
        "REELTAG_KAFKA__SECURITY_PROTOCOL": "SASL_SSL",
        "REELTAG_KAFKA__SASL_MECHANISM": "PLAIN",
        "REELTAG_KAFKA__SASL_USERNAME": "worker",
        "REELTAG_KAFKA__SASL_PASSWORD": PASSWORD,
        "REELTAG_KAFKA__SSL_CA_LOCATION": str(cert),
    }
    try:
        yield broker, client
    finally:
        broker.stop()


@pytest.mark.slow
@pytest.mark.parametrize("delivery", ["at_least_once", "exactly_once"])
def test_tls_and_sasl_pass_through_and_the_password_stays_secret(
    locked: tuple[Broker, dict[str, str]], tmp_path: Path, delivery: str
) -> None:
    broker, client = locked
    scene = Scene(broker, tmp_path, delivery=delivery, environment=client)
    try:
        scene.upload("v1")
        scene.upload("v2", "light:missing")
        worker = scene.worker(REELTAG_LOG_LEVEL="debug")
        scene.wait(60)
        shown = worker.get("/metrics")[1] + worker.get("/readyz")[1]
        assert worker.terminate() == 0
        assert audit(scene).outcomes == {"tagged": 1, "dead_lettered": 1}
        wrong = scene.worker(REELTAG_KAFKA__SASL_PASSWORD=PASSWORD[::-1])
        eventually(lambda: "uthentication" in wrong.log.read_text())
        assert wrong.get("/readyz")[0] == 503
        wrong.kill()
        for text in (shown, worker.log.read_text(), wrong.log.read_text()):
            assert PASSWORD not in text
            assert PASSWORD[::-1] not in text
    finally:
        scene.stop()


@pytest.mark.slow
@pytest.mark.parametrize("delivery", ["at_least_once", "exactly_once"])
def test_told_to_end_while_the_broker_is_away_it_ends(
    own_kafka: Broker, tmp_path: Path, delivery: str
) -> None:
    scene = Scene(own_kafka, tmp_path, delivery=delivery)
    try:
        for number in range(50):
            scene.upload(f"v{number}", "light:slow:0.1")
        scene.producer.flush()
        worker = scene.worker(REELTAG_DRAIN_SECONDS="5")
        eventually(lambda: worker.metric("reeltag_outcomes_total", outcome="tagged") > 3)
        for node in own_kafka.nodes:
            node.kill()
        time.sleep(2)
        began = time.monotonic()
        assert worker.terminate() == 0
        assert time.monotonic() - began < 25
    finally:
        scene.stop()
