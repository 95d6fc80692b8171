"""docs/ says what the code says: it is written from it, and these tests compare the two."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from consumer.docs import pages

ROOT = Path(__file__).parents[2]
PAGES = pages()
BY_HAND = {
    Path("words.md"),
    Path("tables/report.html"),
    Path("tables/tables.json"),
    Path("tables/clips.txt"),
}


@pytest.mark.parametrize("place", PAGES, ids=str)
def test_a_page_is_what_the_code_would_write(place: Path) -> None:
    assert (ROOT / "docs" / place).read_text() == PAGES[place], "run `make docs`"


def test_every_page_is_written_from_the_code_or_by_hand_on_purpose() -> None:
    there = {path.relative_to(ROOT / "docs") for path in (ROOT / "docs").rglob("*.*")}
    assert there == set(PAGES) | BY_HAND


@pytest.mark.parametrize("name", ["upload_event", "tag_event"])
def test_a_schema_is_valid(name: str) -> None:
    schema = json.loads(PAGES[Path("schemas") / f"{name}.json"])
    Draft202012Validator.check_schema(schema)


def test_links_in_the_readme_lead_somewhere() -> None:
    text = (ROOT / "README.md").read_text()
    targets = re.findall(r"\]\((?!https?://|#)([^)#]+)", text)
    assert [target for target in targets if not (ROOT / target).exists()] == []


def test_every_promise_of_the_readme_names_tests_that_exist() -> None:
    rows = [line for line in (ROOT / "README.md").read_text().splitlines() if "`tests/" in line]
    assert len(rows) >= 10
    for row in rows:
        source = ""
        for path, name in re.findall(r"`(tests/\w+/\w+\.py)?::(\w+)`", row):
            source = (ROOT / path).read_text() if path else source
            assert re.search(rf"^(def|class) {name}\b", source, re.MULTILINE), f"{path}::{name}"
