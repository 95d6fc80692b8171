"""Settings: variables, then a TOML file; secrets are never shown."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from consumer.dead_letters import without_secrets
from consumer.kafka import common, group_consumer, producer
from consumer.logs import Formatter
from consumer.settings import Settings, load_settings
from encoders.errors import SettingError

SECRET = "hunter2-hunter2"


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No REELTAG_ variable from outside."""
    for name in list(os.environ):
        if name.startswith("REELTAG_"):
            monkeypatch.delenv(name)


def test_defaults_are_the_contracts() -> None:
    settings = load_settings()
    assert settings.bootstrap_servers == "localhost:9092"
    assert settings.delivery == "at_least_once"
    assert settings.access.schemes == {"https", "s3"}
    assert settings.access.paths == ()


def test_every_setting_is_described() -> None:
    assert all(field.description for field in Settings.model_fields.values())


def test_variables_come_before_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "reeltag.toml"
    file.write_text(
        'group_id = "from file"\ntags_topic = "tags"\nallowed_hosts = ["a", "b"]\n'
        '[kafka]\nsession_timeout_ms = 6000\n"security.protocol" = "SSL"\n'
    )
    monkeypatch.setenv("REELTAG_CONFIG", str(file))
    monkeypatch.setenv("REELTAG_GROUP_ID", "from variable")
    monkeypatch.setenv("REELTAG_ALLOWED_PATHS", "/videos, /more")
    monkeypatch.setenv("REELTAG_KAFKA__SECURITY_PROTOCOL", "SASL_SSL")
    settings = load_settings()
    assert settings.group_id == "from variable"
    assert settings.tags_topic == "tags"
    assert settings.access.hosts == {"a", "b"}
    assert settings.access.paths == (Path("/videos"), Path("/more"))
    assert settings.librdkafka() == {
        "session.timeout.ms": "6000",
        "security.protocol": "SASL_SSL",
    }


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("REELTAG_DELIVERY", "perhaps_once", "delivery"),
        ("REELTAG_HTTP_PORT", "eighty", "http_port"),
        ("REELTAG_IN_FLIGHT_EVENTS", "0", "in_flight_events"),
        ("REELTAG_KAFKA__ENABLE_AUTO_COMMIT", "true", "guarantees rest on it"),
        ("REELTAG_KAFKA__GROUP_ID", "other", "guarantees rest on it"),
        ("REELTAG_KAFKA__AUTO_OFFSET_RESET", "latest", "can only be earliest"),
    ],
)
def test_a_wrong_setting_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, says: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingError, match=says) as raised:
        load_settings()
    assert "\n" not in str(raised.value)


def test_an_unknown_setting_in_the_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "reeltag.toml"
    file.write_text('gruop_id = "x"\n')
    with pytest.raises(SettingError, match="gruop_id"):
        load_settings(file)
    file.write_text("= nonsense")
    with pytest.raises(SettingError, match="can't be read"):
        load_settings(file)
    with pytest.raises(SettingError, match="no settings file"):
        load_settings(tmp_path / "absent.toml")


def test_secrets_are_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REELTAG_KAFKA__SASL_PASSWORD", SECRET)
    monkeypatch.setenv("REELTAG_S3_SECRET", SECRET)
    monkeypatch.setenv("REELTAG_MIRROR", f"https://user:{SECRET}@mirror/")
    settings = load_settings()
    assert SECRET not in repr(settings)
    assert SECRET not in str(settings)
    assert SECRET not in settings.model_dump_json(exclude={"mirror"})
    assert common(settings, ())["sasl.password"] == SECRET
    assert SECRET not in repr(settings.access)


def test_a_property_that_librdkafka_refuses_is_named_without_its_value() -> None:
    settings = load_settings(None, kafka={"security_protocol": SECRET})
    with pytest.raises(SettingError, match=r"security\.protocol") as raised:
        producer(settings, lambda error: None)
    assert SECRET not in str(raised.value)
    with pytest.raises(SettingError) as raised:
        group_consumer(settings, lambda e, p: None, lambda text: None, lambda error: None)
    assert SECRET not in str(raised.value)


@pytest.mark.parametrize(
    "text",
    [
        f"GET https://user:{SECRET}@host/video.mp4 failed",
        f"GET https://host/video.mp4?X-Amz-Signature={SECRET}&x=1 failed",
        f"'https://host/video.mp4?token={SECRET}'",
    ],
)
def test_credentials_of_uris_stay_out_of_errors_and_logs(text: str) -> None:
    assert SECRET not in without_secrets(text)
    assert "host/video.mp4" in without_secrets(text)
    record = logging.LogRecord("x", logging.INFO, "", 0, "%s", (text,), None)
    for as_json in (False, True):
        assert SECRET not in Formatter(as_json=as_json).format(record)
