"""Logging: plain text or JSON lines, on standard error, without secrets."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime

from consumer.dead_letters import without_secrets
from consumer.settings import Settings


class Formatter(logging.Formatter):
    """One line a record; credentials and queries of URIs are left out."""

    def __init__(self, *, as_json: bool) -> None:
        super().__init__()
        self._json = as_json

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        message = without_secrets(record.getMessage())
        if record.exc_info:
            message = f"{message}\n{self.formatException(record.exc_info)}"
        if self._json:
            return json.dumps(
                {
                    "time": at,
                    "level": record.levelname.lower(),
                    "logger": record.name,
                    "thread": record.threadName,
                    "message": message,
                },
                ensure_ascii=False,
            )
        return f"{at} {record.levelname.lower():8} {record.threadName}: {message}"


def start_logging(settings: Settings) -> None:
    """Send what the program logs to standard error, as the settings say."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Formatter(as_json=settings.log_format == "json"))
    logging.basicConfig(handlers=[handler], level=settings.log_level.upper(), force=True)
