"""Alerts and dashboard: PromQL that parses, over metrics that the worker really has."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

from consumer.metrics import Metrics

DEPLOY = Path(__file__).parents[2] / "deploy"
RULES = [
    rule
    for group in yaml.safe_load((DEPLOY / "prometheus/rules.yaml").read_text())["groups"]
    for rule in group["rules"]
]
DASHBOARD = json.loads((DEPLOY / "grafana/reeltag.json").read_text())


def panels() -> Iterator[tuple[str, str]]:
    for panel in DASHBOARD["panels"]:
        for target in panel["targets"]:
            yield panel["title"], target["expr"].replace("$__rate_interval", "1m")


EXPRESSIONS = [(rule["alert"], rule["expr"]) for rule in RULES] + list(panels())


def known() -> set[str]:
    """Every series name that the worker or the scrape itself gives."""
    names = {"up"}
    for name, kind, _ in Metrics().table():
        names |= (
            {f"{name}_{part}" for part in ("bucket", "sum", "count")}
            if kind == "histogram"
            else {name}
        )
    return names


@pytest.mark.parametrize(("title", "expression"), EXPRESSIONS)
def test_an_expression_parses_and_asks_for_metrics_that_exist(title: str, expression: str) -> None:
    promql_parser.parse(expression)
    bare = re.sub(r"\{[^}]*\}|\[[^\]]*\]", "", expression)
    used = set(re.findall(r"\b(?:reeltag_\w+|up)\b", bare))
    assert used, f"{title} asks for nothing"
    assert used <= known()


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule["alert"]))
def test_an_alert_says_what_happened_and_what_to_do(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in ("page", "ticket")
    assert set(rule["annotations"]) == {"summary", "action"}


def test_panels_do_not_overlap() -> None:
    cells = [
        (x, y)
        for panel in DASHBOARD["panels"]
        for place in [panel["gridPos"]]
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24
