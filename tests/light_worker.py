"""A worker process with light stages: `python -m tests.light_worker`, settings from REELTAG_*.

Everything but the stages is the worker that `reeltag run` runs. REELTAG_TEST_SECONDS is how long
each event takes, REELTAG_TEST_GENERATION the bundle's generation.
"""

from __future__ import annotations

import os

from consumer.logs import start_logging
from consumer.settings import load_settings
from consumer.worker import run_until_told
from tests.light import light_stages


def main() -> None:
    """Work until SIGTERM."""
    settings = load_settings()
    start_logging(settings)
    seconds = float(os.environ.get("REELTAG_TEST_SECONDS", "0.002"))
    generation = int(os.environ.get("REELTAG_TEST_GENERATION", "1"))
    run_until_told(settings, light_stages(seconds, generation))


if __name__ == "__main__":
    main()
