"""Every setting of the worker, in one place: ``REELTAG_*`` variables, then a TOML file.

The TOML file (``REELTAG_CONFIG`` or ``--config``) has the same names in lower case without the
prefix. ``REELTAG_KAFKA__SECURITY_PROTOCOL`` passes ``security.protocol`` through to librdkafka.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from encoders.access import Access, S3Options
from encoders.errors import SettingError
from encoders.limits import Limits

Names = Annotated[tuple[str, ...], NoDecode]
Delivery = Literal["at_least_once", "exactly_once"]

OURS = frozenset({"enable.auto.commit", "enable.auto.offset.store", "group.id", "transactional.id"})
"""librdkafka properties that the delivery guarantees rest on; they can't be passed through."""
FROM_THE_START = frozenset({"earliest", "smallest", "beginning"})
"""What ``auto.offset.reset`` may say: elsewhere begun, uploads would be skipped without a word."""


class Settings(BaseSettings):
    """Settings of the worker. Secrets are never shown: not in ``repr``, logs, errors or metrics."""

    model_config = SettingsConfigDict(
        env_prefix="REELTAG_",
        env_nested_delimiter="__",
        env_ignore_empty=True,
        extra="forbid",
        frozen=True,
    )

    bundle: Path | None = Field(None, description="Directory of the bundle.")
    weights: Path | None = Field(
        None, description="Directory of the profile's weights; without it, where `models pull` puts"
    )
    mirror: str | None = Field(
        None, repr=False, description="Directory or URL that weights are taken from."
    )
    features: Path | None = Field(
        None,
        description="Directory of the feature store; with it, replay skips decoding and encoding.",
    )
    words: bool = Field(
        False,
        description="Read on-screen text and speech too: for a bundle trained with `--words`; "
        "needs the extra `words`.",
    )

    bootstrap_servers: str = Field("localhost:9092", description="Kafka.")
    group_id: str = Field("reeltag", description="Consumer group.")
    uploads_topic: str = Field("video.uploads", description="Upload events.")
    tags_topic: str = Field("video.tags", description="Tag events; compacted.")
    dlq_topic: str = Field("video.uploads.dlq", description="Dead letters.")
    replay_topic: str = Field(
        "video.uploads.replay",
        description="Work to be done again; as many partitions as the uploads topic.",
    )
    create_topics: bool = Field(
        True, description="Create the tags, dead-letter and replay topics where they are missing."
    )
    instance_id: str | None = Field(
        None,
        description="A name that outlives restarts: static group membership and transactional id.",
    )
    kafka: dict[str, SecretStr] = Field(
        default_factory=dict,
        description="Passed through to librdkafka: REELTAG_KAFKA__X_Y sets x.y.",
    )

    delivery: Delivery = Field(
        "at_least_once", description="Or exactly_once: transactions, for read_committed readers."
    )
    commit_seconds: float = Field(
        1.0, gt=0, description="At-least-once: pause between two commits of offsets."
    )
    transaction_seconds: float = Field(
        0.2, gt=0, description="Exactly-once: how long results gather for one transaction."
    )
    transaction_events: int = Field(500, ge=1, description="Exactly-once: most events in one.")
    transaction_timeout_seconds: float = Field(
        15.0, ge=1, description="Exactly-once: the broker aborts a dead worker's transaction then."
    )

    in_flight_events: int = Field(
        256, ge=1, description="Events taken in and not settled; above it partitions are paused."
    )
    in_flight_bytes: int = Field(
        256 * 1024 * 1024, ge=1, description="Their bytes, decoded media included."
    )
    decoders: int = Field(
        default_factory=lambda: os.cpu_count() or 1, ge=1, description="Decode children."
    )
    fetchers: int = Field(
        16, ge=1, description="Videos fetched at once; more than decoders, as servers may be slow."
    )
    encoder_threads: int = Field(
        default_factory=lambda: os.cpu_count() or 1,
        ge=1,
        description="Micro-batches encoded and ranked side by side, and the channels of one; at "
        "most the cores.",
    )
    batch_videos: int = Field(8, ge=1, description="Most videos in a micro-batch.")
    batch_seconds: float = Field(0.02, ge=0, description="How long a micro-batch waits to fill.")

    retry_attempts: int = Field(10, ge=1, description="Tries of a transient error.")
    retry_seconds: float = Field(
        1.0, gt=0, description="First back-off; doubles each time, drawn evenly from 0 to it."
    )
    retry_longest_seconds: float = Field(120.0, gt=0, description="Longest back-off.")
    retry_age_seconds: float = Field(3600.0, gt=0, description="Oldest event that is tried again.")
    retry_events: int = Field(
        1000, ge=1, description="Events waiting for another try; what fails then is a dead letter."
    )
    crash_limit: int = Field(
        3, ge=1, description="Decoder crashes, restarts included, that make a dead letter."
    )
    death_limit: int = Field(
        5, ge=1, description="Sudden ends of the worker during one event that make a dead letter."
    )
    state: Path | None = Field(
        None,
        description="Folder that outlives the worker's process, to count its sudden ends in; "
        "without it, one among the temporary files.",
    )
    dead_letter_limit: float = Field(
        0.5, gt=0, le=1, description="Share of dead letters; surely above it, intake stops."
    )
    dead_letter_window: int = Field(
        1000, ge=1, description="Newest events that the share is counted over."
    )
    dead_letter_least: int = Field(
        50, ge=1, description="Fewest events that the share is judged by, as after a start."
    )
    dead_letter_probe: int = Field(
        10, ge=1, description="Events taken in after a pause, to see whether most end well again."
    )
    dead_letter_pause_seconds: float = Field(
        60.0, gt=0, description="That pause; it doubles, to 16 times as long, until they do."
    )
    replay_lag: int = Field(
        100, ge=0, description="Waiting fresh uploads of a worker above which replay stands still."
    )
    replay_rate: float = Field(
        0.0, ge=0, description="Most replayed events a second and worker; 0 is as fast as it goes."
    )

    drain_seconds: float = Field(
        25.0, gt=0, description="SIGTERM: time to finish what is in flight."
    )
    revoke_seconds: float = Field(
        10.0, gt=0, description="Time to finish a partition's work before it is handed over."
    )
    poll_stale_seconds: float = Field(
        60.0, gt=0, description="The worker ends itself (status 70) where it can't poll for so long"
    )
    call_stale_seconds: float = Field(
        30.0, gt=0, description="Likewise where one call of the Kafka client does not return."
    )
    batch_stale_seconds: float = Field(
        300.0, gt=0, description="Likewise where one micro-batch does not finish."
    )
    in_flight_stale_seconds: float = Field(
        900.0, gt=0, description="/livez fails where an event, retries aside, is older."
    )

    http_host: str = Field("127.0.0.1", description="/metrics, /livez, /readyz.")
    http_port: int = Field(9464, ge=0, le=65535, description="0 takes a free one.")
    log_format: Literal["text", "json"] = Field("text", description="Plain text or JSON lines.")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least.")

    allowed_schemes: Names = Field(("https", "s3"), description="Schemes of an upload's URI.")
    allowed_paths: Names = Field((), description="Folders under which file:// URIs may lie.")
    allowed_hosts: Names = Field(
        (), description="Hosts allowed although private, loopback or link-local."
    )
    s3_endpoint: str | None = Field(None, description="S3 endpoint other than Amazon's.")
    s3_region: str | None = Field(None, description="S3 region.")
    s3_key: SecretStr | None = Field(None, description="S3 key; else the usual AWS chain.")
    s3_secret: SecretStr | None = Field(None, description="S3 secret.")
    s3_anonymous: bool = Field(False, description="S3 without credentials.")
    s3_buckets: Names = Field((), description="S3 buckets that may be read; empty is any.")
    media_seconds: float = Field(60.0, gt=0, description="Fetching and decoding one video.")
    media_memory_bytes: int = Field(1 << 30, ge=1 << 26, description="Memory of a decode child.")
    media_fetch_bytes: int = Field(512 << 20, ge=1, description="Size of a file.")
    media_pixels: int = Field(8192 * 4320, ge=1, description="Width times height of a picture.")
    media_duration_seconds: float = Field(14400.0, gt=0, description="What a video may last.")
    media_files_per_child: int = Field(
        200, ge=1, description="A decode child is replaced after so many files."
    )

    @field_validator(
        "allowed_schemes", "allowed_paths", "allowed_hosts", "s3_buckets", mode="before"
    )
    @classmethod
    def _split(cls, value: object) -> object:
        """``a,b`` as a variable has it, or a TOML list."""
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("kafka", mode="before")
    @classmethod
    def _properties(cls, value: object) -> object:
        """``security_protocol`` is ``security.protocol``; numbers and booleans become text."""
        if not isinstance(value, Mapping):
            return value
        properties: dict[str, object] = {}
        for name, given in value.items():
            text = given.get_secret_value() if isinstance(given, SecretStr) else given
            shown = str(text).lower() if isinstance(text, bool) else str(text)
            properties[str(name).lower().replace("_", ".")] = SecretStr(shown)
        return properties

    @model_validator(mode="after")
    def _guarantees(self) -> Settings:
        for name in sorted(OURS & self.kafka.keys()):
            raise ValueError(
                f"kafka.{name} can't be passed through: the delivery guarantees rest on it"
            )
        begin = self.kafka.get("auto.offset.reset")
        if begin is not None and begin.get_secret_value() not in FROM_THE_START:
            raise ValueError(
                "auto.offset.reset can only be earliest, or uploads would be lost where no offset "
                "is committed, and replay would not see what supersedes them; to begin elsewhere, "
                "set the group's offsets before the first start: "
                "kafka-consumer-groups --reset-offsets"
            )
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments, then variables; ``load_settings`` adds the TOML file below them."""
        return init_settings, env_settings

    @property
    def access(self) -> Access:
        """The allow-list of an upload's URI."""
        return Access(
            schemes=frozenset(scheme.lower() for scheme in self.allowed_schemes),
            paths=tuple(Path(path) for path in self.allowed_paths),
            hosts=frozenset(host.lower() for host in self.allowed_hosts),
            s3=S3Options(
                endpoint_url=self.s3_endpoint,
                region=self.s3_region,
                key=self.s3_key.get_secret_value() if self.s3_key else None,
                secret=self.s3_secret.get_secret_value() if self.s3_secret else None,
                anonymous=self.s3_anonymous,
                buckets=frozenset(self.s3_buckets),
            ),
        )

    @property
    def limits(self) -> Limits:
        """What one video may cost."""
        return Limits(
            wall_seconds=self.media_seconds,
            memory_bytes=self.media_memory_bytes,
            fetch_bytes=self.media_fetch_bytes,
            pixels=self.media_pixels,
            duration_seconds=self.media_duration_seconds,
            files_per_child=self.media_files_per_child,
        )

    def librdkafka(self) -> dict[str, str]:
        """The properties passed through, in the clear: for the client alone."""
        return {name: value.get_secret_value() for name, value in self.kafka.items()}


def load_settings(config: Path | None = None, **given: object) -> Settings:
    """Settings from ``given`` (None means not given), ``REELTAG_*``, then the TOML file.

    Raises SettingError, in one sentence that never repeats the value.
    """
    path = config or (Path(name) if (name := os.environ.get("REELTAG_CONFIG")) else None)
    if path is not None and not path.is_file():
        raise SettingError(f"there is no settings file {path}; correct REELTAG_CONFIG or --config")

    class FromFile(Settings):
        """The same settings, with one file as the last source."""

        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,
            file_secret_settings: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            sources = (init_settings, env_settings)
            return (*sources, TomlConfigSettingsSource(settings_cls, path)) if path else sources

    values: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    try:
        return FromFile(**values)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        name = ".".join(str(part) for part in first["loc"])
        what = f"setting {name}" if name else "a setting"
        raise SettingError(f"{what} can't be used: {first['msg']}") from None
    except ValueError as error:  # tomllib.TOMLDecodeError is one
        raise SettingError(
            f"the settings can't be read ({type(error).__name__}): {error}"
        ) from None
