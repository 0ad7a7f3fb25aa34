"""What the operator sets; the only reader of the environment.

Each setting is read from `NEWSLETTER_<NAME>`, or from the file that `NEWSLETTER_<NAME>_FILE`
names (for secrets that an orchestrator mounts). `docs/operate.md` lists them all.
"""

import atexit
import os
import re
import shutil
import tempfile
from functools import cache
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from newsletter.errors import SettingError

PREFIX = "NEWSLETTER_"
METRICS_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
PROJECT_ROOT = Path(__file__).resolve().parent.parent
TEMPLATES = PROJECT_ROOT / "templates"

SAMPLE_SECRET = "sample-secret-for-trying-only-never-for-production"  # noqa: S105
SHORTEST_SECRET = 32
_KEY_NUMBER = re.compile(r"[0-9]{1,3}")
_ADDRESS = re.compile(r"[^\s@<>,;]+@[^\s@<>,;]+\.[^\s@<>,;]+")


class _FileSource(PydanticBaseSettingsSource):
    """`NEWSLETTER_X_FILE=/run/secrets/x`: the file's text, without its final newline, is X."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        path = os.environ.get(f"{PREFIX}{field_name.upper()}_FILE")  # noqa: TID251
        if not path:
            return None, field_name, False
        try:
            return Path(path).read_text(encoding="utf-8").rstrip("\r\n"), field_name, False
        except OSError as error:
            raise SettingError(
                "{prefix}{setting}_FILE: cannot read {path}: {reason}",
                prefix=PREFIX,
                setting=field_name.upper(),
                path=path,
                reason=error.strerror,
            ) from error

    def __call__(self) -> dict[str, Any]:
        values = {}
        for name, field in self.settings_cls.model_fields.items():
            value, key, _ = self.get_field_value(field, name)
            if value is not None:
                values[key] = value
        return values


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="ignore")

    env: Literal["development", "production"] = "development"
    database_url: str = Field(default=f"sqlite:///{PROJECT_ROOT / 'var' / 'newsletter.db'}")
    redis_url: str = "redis://127.0.0.1:6379/0"
    secret_keys: Annotated[tuple[tuple[int, str], ...], NoDecode] = ((0, SAMPLE_SECRET),)
    """Signing keys as `number:secret`, comma separated, newest first; old ones keep old links good."""
    address_key: str = SAMPLE_SECRET
    """Keys the hash that suppressions are kept under. It must never change."""
    base_url: str = "http://127.0.0.1:8000"
    mail_domain: str = "mail.example.org"
    """Domain of Message-IDs, return paths and List-Ids."""
    state_dir: Path = PROJECT_ROOT / "var"
    """Delivery journals; must survive a restart of the process and of its container."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_format: Literal["console", "json"] = "console"
    lease_seconds: float = Field(default=60.0, gt=0)
    """How long a claimed batch belongs to its worker without a sign of life."""
    dot_timeout_seconds: float = Field(default=600.0, gt=0)
    """How long to wait for the answer to a message's final dot (RFC 5321 section 4.5.3.2.6)."""
    smtp_client: Literal["pipelined", "reference"] = "pipelined"
    """What carries editions: our own client, or the standard library's, to compare with."""
    retry_hours: float = Field(default=24.0, ge=1, le=120)
    """How long after its first try a deferred delivery is tried again."""
    poll_seconds: float = Field(default=5.0, gt=0)
    """How often a worker looks for due work by itself when no doorbell rings."""
    desk_addresses: str | None = None
    """Who is told by mail when something needs a person; comma separated."""
    test_sends_per_minute: int = Field(default=30, ge=1)
    """Of all editions and editors together."""
    messages_per_second: float | None = Field(default=None, gt=0)
    """Over all transports and processes; None: only the transports and providers limit."""
    deliver_processes: int = Field(default=8, ge=1)
    """Among how many the limits are divided while Redis cannot be asked and never could."""
    mx_lookups: bool = True
    """Ask DNS who takes a domain's mail; else known domains are told by their names."""
    metrics_token: str | None = Field(default=None, min_length=16)
    """Whoever shows it as a bearer token may read the metrics."""
    metrics_port: int | None = Field(default=None, ge=1, le=65_535)
    """Where a worker's main process answers scrapes; None: nowhere."""
    trusted_proxies: str | None = None
    """Whose X-Forwarded-For is believed; addresses or networks, comma separated."""
    fetch_private: str | None = None
    """Networks that feeds, pages and alarm addresses may lie in, besides the public ones, on any port;
    comma separated.
    """
    signups_per_hour: int = Field(default=1000, ge=1)
    """Over all forms and web processes; one form alone takes half of them."""
    keep_unsubscribed_months: int = Field(default=24, ge=0, le=1200)
    """How long people are known who are on no list any more; 0, here and below: for good."""
    keep_events_months: int = Field(default=24, ge=0, le=1200)
    keep_deliveries_months: int = Field(default=24, ge=0, le=1200)
    """From the end of their edition on."""
    keep_reports_days: int = Field(default=90, ge=1)
    """Reports of imports, and servers' words about tries that did not end well."""
    keep_audit_days: int = Field(default=1095, ge=30)
    """What staff did; three years."""
    api_requests_per_minute: int = Field(default=600, ge=1)
    """Of one API key, over all web processes."""
    clock_shift_path: Path | None = None
    """A file with the seconds that this system's clock is to be wrong by: a drill sets it."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, _FileSource(settings_cls)

    @field_validator("secret_keys", mode="before")
    @classmethod
    def _read_secret_keys(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        keys = []
        for part in value.split(","):
            number, colon, secret = part.strip().partition(":")
            if not colon or not _KEY_NUMBER.fullmatch(number) or int(number) > 255 or not secret:
                message = "write each key as number:secret, the number 0 to 255, newest key first"
                raise ValueError(message)
            keys.append((int(number), secret))
        if len({number for number, _ in keys}) != len(keys):
            message = "two keys carry the same number"
            raise ValueError(message)
        return tuple(keys)

    @field_validator(
        "desk_addresses",
        "messages_per_second",
        "metrics_token",
        "metrics_port",
        "trusted_proxies",
        "fetch_private",
        "clock_shift_path",
        mode="before",
    )
    @classmethod
    def _read_empty_as_unset(cls, value: object) -> object:
        return None if value == "" else value

    @field_validator("desk_addresses")
    @classmethod
    def _check_desk_addresses(cls, value: str | None) -> str | None:
        if value and not all(_ADDRESS.fullmatch(each.strip()) for each in value.split(",")):
            message = "write it as desk@example.org,chief@example.org"
            raise ValueError(message)
        return value

    @field_validator("trusted_proxies")
    @classmethod
    def _check_trusted_proxies(cls, value: str | None) -> str | None:
        try:
            for each in (value or "").split(","):
                ip_network(each.strip() or "::1", strict=False)
        except ValueError as error:
            message = "write addresses or networks, as in 127.0.0.1,10.0.0.0/8"
            raise ValueError(message) from error
        return value

    @field_validator("fetch_private")
    @classmethod
    def _check_fetch_private(cls, value: str | None) -> str | None:
        try:
            for each in (value or "").split(","):
                ip_network(each.strip() or "::1")
        except ValueError as error:
            message = "write networks, as in 10.20.0.0/16,fd12::/48"
            raise ValueError(message) from error
        return value

    @field_validator("database_url")
    @classmethod
    def _check_database_url(cls, value: str) -> str:
        if not value.startswith(("sqlite:///", "postgresql://", "postgresql+psycopg://")):
            message = (
                "write it as postgresql://user:password@host/name or sqlite:////var/lib/news.db"
            )
            raise ValueError(message)
        return value

    @field_validator("base_url")
    @classmethod
    def _check_base_url(cls, value: str) -> str:
        message = "must be an address like https://news.example.org"
        try:
            parts = urlsplit(value)
            is_fit = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
        except ValueError as error:
            raise ValueError(message) from error
        if not is_fit or parts.query or parts.fragment:
            raise ValueError(message)
        return value.rstrip("/")

    @model_validator(mode="after")
    def _refuse_samples_in_production(self) -> Self:
        if self.env != "production":
            return self
        secrets = [secret for _, secret in self.secret_keys] + [self.address_key]
        if SAMPLE_SECRET in secrets or any("change-me" in secret for secret in secrets):
            message = (
                "SECRET_KEYS and ADDRESS_KEY still hold a sample secret; "
                "make your own with: newsletter secret"
            )
            raise ValueError(message)
        if any(len(secret) < SHORTEST_SECRET for secret in secrets):
            message = f"SECRET_KEYS and ADDRESS_KEY need at least {SHORTEST_SECRET} characters each"
            raise ValueError(message)
        if self.clock_shift_path is not None:
            message = "CLOCK_SHIFT_PATH makes the clock wrong, which is for drills only: unset it"
            raise ValueError(message)
        if not self.base_url.startswith("https://"):
            message = "BASE_URL must be https in production: one-click unsubscribe needs it"
            raise ValueError(message)
        return self

    def environment(self) -> dict[str, str]:
        """The environment of a child process that is to have these same settings."""
        values = self.model_dump()
        values["secret_keys"] = ",".join(f"{number}:{key}" for number, key in self.secret_keys)
        inherited = {
            name: value
            for name, value in os.environ.items()  # noqa: TID251
            if not name.startswith(PREFIX)
        }
        return inherited | {
            f"{PREFIX}{name.upper()}": str(value)
            for name, value in values.items()
            if value is not None
        }


_chosen: Settings | None = None


def use_settings(settings: Settings) -> None:
    """Make these the process's settings, whatever its environment says: for whoever starts a whole
    system of its own. Call it before anything asked for them.
    """
    global _chosen
    _chosen = settings
    get_settings.cache_clear()


@cache
def get_settings() -> Settings:
    """The process's settings. Raises `SettingError` with every mistake named, one a line."""
    if _chosen is not None:
        return _chosen
    return read_settings()


def read_settings(**given: object) -> Settings:
    """Read the environment; `given` comes before it. Raises `SettingError` as `get_settings`."""
    try:
        return Settings(**given)  # type: ignore[arg-type]
    except ValidationError as error:
        lines = []
        for mistake in error.errors():
            place = ".".join(str(part) for part in mistake["loc"])
            name = f"{PREFIX}{place.upper()}: " if place else ""
            lines.append(f"{name}{mistake['msg'].removeprefix('Value error, ')}")
        raise SettingError("\n".join(lines)) from error


def share_metrics() -> None:
    """Give this process, and those it forks, one new folder to count their metrics in.

    prometheus-client reads its name from the environment when it is imported. It is not below
    `state_dir`, which containers share: files in it are named by process id, and those repeat.
    """
    folder = tempfile.mkdtemp(prefix="newsletter-metrics-")
    os.environ[METRICS_FOLDER] = folder  # noqa: TID251
    owner = os.getpid()

    def remove() -> None:
        if os.getpid() == owner:
            shutil.rmtree(folder, ignore_errors=True)

    atexit.register(remove)


def metrics_folder() -> str | None:
    """None: this process counts for itself alone."""
    return os.environ.get(METRICS_FOLDER)  # noqa: TID251
