"""Compose file and Kubernetes manifests: they set what the worker has, and agree with it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from consumer.settings import Settings

DEPLOY = Path(__file__).parents[2] / "deploy"
SETTINGS = {f"REELTAG_{name.upper()}" for name in Settings.model_fields}
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
MANIFESTS = [
    document
    for path in sorted((DEPLOY / "kubernetes").glob("*.yaml"))
    for document in yaml.safe_load_all(path.read_text())
]
[STATEFUL] = [m for m in MANIFESTS if m["kind"] == "StatefulSet"]
POD = STATEFUL["spec"]["template"]["spec"]
[WORKER] = POD["containers"]


def given_settings() -> Iterator[str]:
    yield from COMPOSE["services"]["worker"]["environment"]
    for manifest in MANIFESTS:
        yield from manifest.get("data", {})
    yield from (entry["name"] for entry in WORKER["env"])
    yield from re.findall(r"\b(REELTAG_\w+)=", (DEPLOY / "Dockerfile").read_text())


@pytest.mark.parametrize("name", sorted(set(given_settings())))
def test_a_setting_exists(name: str) -> None:
    assert name in SETTINGS


@pytest.mark.parametrize("kind", ["Service", "PodDisruptionBudget", "NetworkPolicy", "PodMonitor"])
def test_what_selects_the_worker_finds_its_pods(kind: str) -> None:
    [manifest] = [m for m in MANIFESTS if m["kind"] == kind]
    spec = manifest["spec"]
    selector = spec.get("podSelector") or spec["selector"]
    labels = selector.get("matchLabels", selector)
    assert labels.items() <= STATEFUL["spec"]["template"]["metadata"]["labels"].items()


def test_kubernetes_waits_longer_than_the_worker_drains() -> None:
    assert POD["terminationGracePeriodSeconds"] > Settings.model_fields["drain_seconds"].default


def test_probes_ask_the_port_that_the_worker_opens() -> None:
    [port] = WORKER["ports"]
    assert port["containerPort"] == Settings.model_fields["http_port"].default
    probes = {
        name: WORKER[f"{name}Probe"]["httpGet"] for name in ("startup", "liveness", "readiness")
    }
    assert {probe["port"] for probe in probes.values()} == {port["name"]}
    assert probes["liveness"]["path"] == "/livez"
    assert probes["readiness"]["path"] == "/readyz"


def test_the_worker_runs_without_privileges() -> None:
    assert POD["securityContext"]["runAsNonRoot"] is True
    assert WORKER["securityContext"]["readOnlyRootFilesystem"] is True
    assert WORKER["securityContext"]["capabilities"] == {"drop": ["ALL"]}


def test_files_that_compose_mounts_exist() -> None:
    mounts = [
        mount.partition(":")[0]
        for service in COMPOSE["services"].values()
        for mount in service.get("volumes", [])
        if mount.startswith("./")
    ]
    assert [mount for mount in mounts if not (DEPLOY / mount).exists()] == []
