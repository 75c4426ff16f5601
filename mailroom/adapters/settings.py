"""Configuration: the environment, `.env` and `mailroom.toml`. Nothing else reads them."""

import os
import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Self

import phonenumbers
from dotenv import dotenv_values
from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict

from mailroom.models.agent_addresses import OVERSEER, address_of
from mailroom.models.agent_config import AgentsSection
from mailroom.models.base import Frozen
from mailroom.models.drafting import DraftsSection
from mailroom.models.outbound.config import OutboundSection
from mailroom.models.outbound.rollout import QueueModel, percentage_of
from mailroom.models.owner import Owner
from mailroom.models.retention import Kept
from mailroom.models.sms_text import SmsFormat
from mailroom.models.templates import Template

OWNER_ID = "owner"


class BadConfiguration(Exception):
    """A setting can't be used. The message is one sentence that names it."""


def _e164(number: str) -> str:
    try:
        parsed = phonenumbers.parse(number)
    except phonenumbers.NumberParseException as error:
        raise ValueError(f"{number!r} is no phone number in the form +12025550100") from error
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)


def _no_slash(url: str) -> str:
    return url.rstrip("/")


def _with_zone(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _long_enough(days: int) -> int:
    # A mail server tries for days (RFC 5321 §4.5.4.1), and a mailbox may be away for longer:
    # what comes late or again must still be known.
    if days != 0 and not 30 <= days <= 36_500:
        raise ValueError("it has to be 30 days or more, or 0 to keep rows for ever")
    return days


def _as_word(value: object) -> object:
    return str(value).lower() if isinstance(value, bool) else value


def _rollout(text: str) -> str:
    percentage_of(text)
    return text


Phone = Annotated[str, AfterValidator(_e164)]
Url = Annotated[str, AfterValidator(_no_slash)]


class Settings(BaseSettings):
    """One field for each name in `.env.example`; field names are the variables in lower case."""

    model_config = SettingsConfigDict(
        env_file=".env", env_ignore_empty=True, extra="ignore", frozen=True
    )

    # Services (seed 003)
    sms_gateway_url: Url | None = None
    sms_gateway_token: SecretStr | None = None
    sms_webhook_secret: SecretStr | None = None
    twilio_account_sid: str | None = None
    twilio_auth_token: SecretStr | None = None
    twilio_from_number: Phone | None = None
    twilio_api_url: Url = "https://api.twilio.com"
    gmail_smtp_server: str | None = None
    gmail_smtp_port: int = 465
    email_address: str | None = None
    email_password: SecretStr | None = None
    email_token_command: str | None = None
    imap_host: str | None = None
    imap_port: int = 993
    imap_user: str | None = None
    imap_password: SecretStr | None = None
    imap_answer_since: Annotated[datetime, AfterValidator(_with_zone)] | None = None
    imap_mark_seen: bool = False
    imap_sent_folder: str | None = None
    kumomta_url: Url | None = None
    kumomta_user: str | None = None
    kumomta_password: SecretStr | None = None
    kumomta_body_limit: Annotated[int, Field(gt=0)] = 2 * 1024 * 1024
    enable_email_queue_model: Annotated[
        str, BeforeValidator(_as_word), AfterValidator(_rollout)
    ] = "true"
    enable_legacy_queue_adapter: bool = False
    email_monitor_url: Url | None = None
    poll_interval: Annotated[int, Field(gt=0)] = 30
    ai_reply_generator_url: Url | None = None
    ai_base_url: Url | None = None
    ai_api_key: SecretStr | None = None
    ai_model: str | None = None
    your_phone_number: Phone | None = None
    db_host: str | None = None
    db_port: int = 5432
    db_name: str = "email_auto_reply"
    db_user: str = "readwrite"
    db_password: SecretStr | None = None
    user_response_timeout: Annotated[int, Field(gt=0)] = 86_400
    max_retry_attempts: Annotated[int, Field(gt=0)] = 3
    sms_format: SmsFormat = SmsFormat.AUTO

    # Temporal
    temporal_address: str = "127.0.0.1:7233"
    temporal_namespace: str = "default"
    temporal_api_key: SecretStr | None = None
    temporal_tls: bool = False

    # Ours
    mailroom_data_dir: Path = Path(".mailroom")
    mailroom_cache_dir: Path | None = None
    mailroom_config: Path = Path("mailroom.toml")
    mailroom_host: str = "127.0.0.1"
    mailroom_port: int = 8003
    mailroom_url: Url | None = None
    mailroom_public_url: Url | None = None
    mailroom_token: SecretStr | None = None
    mailroom_agent: Annotated[str, AfterValidator(address_of)] = OVERSEER
    mailroom_agent_token: SecretStr | None = None
    mailroom_smtp_host: str = "127.0.0.1"
    mailroom_smtp_port: int = 2525
    mailroom_outbound_route: SecretStr | None = None
    mailroom_outbound_password: SecretStr | None = None
    mailroom_max_message_bytes: Annotated[int, Field(gt=0)] = 25 * 1024 * 1024
    mailroom_temporal_port: int = 7233
    mailroom_temporal_ui_port: int = 8233
    mailroom_temporal_cli: Path | None = None
    mailroom_blobs_url: str | None = None
    mailroom_spool_dir: Path | None = None
    mailroom_spool_lock_seconds: Annotated[float, Field(gt=0)] = 30
    mailroom_spool_retry_ms: Annotated[float, Field(gt=0)] = 10
    mailroom_spool_longest_retry_ms: Annotated[float, Field(gt=0)] = 250
    mailroom_spool_short_looks: Annotated[int, Field(ge=0)] = 4
    mailroom_bodies_days: Annotated[int, Field(ge=0, le=36_500)] = 90
    mailroom_rows_days: Annotated[int, AfterValidator(_long_enough)] = 400
    mailroom_db_pool: Annotated[int, Field(gt=0)] = 10
    mailroom_sms_per_minute: Annotated[int, Field(gt=0)] = 60
    mailroom_tmux_socket: str | None = None
    mailroom_log_level: str = "INFO"
    mailroom_logs_dir: Path | None = None

    @model_validator(mode="after")
    def _longest_is_not_below_first(self) -> Self:
        first, longest = self.mailroom_spool_retry_ms, self.mailroom_spool_longest_retry_ms
        if longest < first:
            raise ValueError(
                f"MAILROOM_SPOOL_LONGEST_RETRY_MS, {longest:g}, is below the first pause; set it "
                f"to {first:g} or more, or lower MAILROOM_SPOOL_RETRY_MS"
            )
        return self

    @property
    def reminder_after(self) -> timedelta:
        return timedelta(seconds=self.user_response_timeout)

    @property
    def periods(self) -> dict[Kept, timedelta]:
        """How long what is not kept for ever is kept."""
        days = {Kept.BODIES: self.mailroom_bodies_days, Kept.ROWS: self.mailroom_rows_days}
        return {what: timedelta(days=number) for what, number in days.items() if number}

    @property
    def queue_model(self) -> QueueModel:
        return QueueModel(
            percentage=percentage_of(self.enable_email_queue_model),
            legacy=self.enable_legacy_queue_adapter,
            sender=self.email_address,
        )

    @property
    def bridge_url(self) -> str:
        """Where programs on this machine reach the bridge."""
        return self.mailroom_url or f"http://{self.mailroom_host}:{self.mailroom_port}"

    @property
    def public_url(self) -> str:
        """The outside address: links are built on it."""
        return self.mailroom_public_url or self.bridge_url

    @property
    def blobs_dir(self) -> Path:
        return self.mailroom_data_dir / "blobs"

    @property
    def spool_dir(self) -> Path:
        return self.mailroom_spool_dir or self.mailroom_data_dir / "spool"


class MailServer(Frozen):
    """A mail server of one owner's. `password_env` names an environment variable: the file
    holds no secrets."""

    host: str
    port: int
    user: str
    password_env: str | None = None
    token_command: str | None = None
    answer_since: Annotated[datetime, AfterValidator(_with_zone)] | None = Field(
        default=None, description="of a mailbox"
    )
    mark_seen: bool = Field(default=False, description="of a mailbox")
    sent_folder: str | None = Field(default=None, description="of a mailbox")

    @property
    def password(self) -> SecretStr | None:
        return secret_of(self.password_env) if self.password_env else None


class OwnerSection(Owner):
    """`[owner]`, or one of several `[[owners]]`; times of day are in the owner's zone."""

    id: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$")] = OWNER_ID
    phone: Phone | None = None
    imap: MailServer | None = None
    smtp: MailServer | None = None


class ConfigFile(Frozen):
    """`mailroom.toml`."""

    owner: OwnerSection = OwnerSection()
    owners: tuple[OwnerSection, ...] = ()
    templates: tuple[Template, ...] = ()
    drafts: DraftsSection = DraftsSection()
    agents: AgentsSection = AgentsSection()
    outbound: OutboundSection = OutboundSection()

    @model_validator(mode="after")
    def _overseer(self) -> Self:
        overseer, ids = self.agents.overseer_owner, [o.id for o in self.owners or (self.owner,)]
        if overseer and overseer not in ids:
            raise ValueError(f"{overseer}, the overseer_owner of [agents], is no owner")
        return self

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if not self.owners:
            _delegate_of(self.owner, ())
            return self
        if "owner" in self.model_fields_set:
            raise ValueError("There is [owner] or there are [[owners]], not both")
        _different("id", [owner.id for owner in self.owners])
        _different("phone", [owner.phone for owner in self.owners if owner.phone])
        _different("address", [a.casefold() for owner in self.owners for a in owner.addresses])
        for owner in self.owners:
            if not owner.addresses:
                raise ValueError(f"The owner {owner.id} has no addresses; several owners need them")
            _delegate_of(owner, self.owners)
        return self


def webhook_secrets(agents: AgentsSection) -> dict[str, str]:
    """What agents' webhooks are signed with, by the name of the variable."""
    names = {each.webhook_secret_env for each in agents.mailboxes if each.webhook_secret_env}
    return {name: secret_of(name).get_secret_value() for name in sorted(names)}


def load_settings(**overrides: Any) -> Settings:
    try:
        return Settings(**overrides)
    except ValidationError as error:
        raise BadConfiguration(_first_problem(error, upper=True)) from error


def load_config_file(path: Path) -> ConfigFile:
    """The file's content, or the defaults where there is no such file."""
    if not path.exists():
        return ConfigFile()
    try:
        return ConfigFile.model_validate(tomllib.loads(path.read_text()))
    except tomllib.TOMLDecodeError as error:
        raise BadConfiguration(f"{path} is no valid TOML: {error}.") from error
    except ValidationError as error:
        raise BadConfiguration(f"{path}: {_first_problem(error)}") from error


def owners_of(settings: Settings, config: ConfigFile) -> dict[str, OwnerSection]:
    """By ID. A single owner's address and phone may stand in the environment."""
    if config.owners:
        return {owner.id: owner for owner in config.owners}
    address = (settings.email_address,) if settings.email_address else ()
    known = {
        "addresses": tuple(dict.fromkeys((*address, *config.owner.addresses))),
        "phone": config.owner.phone or settings.your_phone_number,
    }
    owner = config.owner.model_copy(update=known)
    return {owner.id: owner}


def _delegate_of(owner: OwnerSection, owners: tuple[OwnerSection, ...]) -> None:
    others = {other.id: other for other in owners if other.id != owner.id}
    if owner.delegate is None:
        return
    if owner.delegate not in others:
        raise ValueError(f"{owner.delegate}, the delegate of {owner.id}, is no other owner")
    if not others[owner.delegate].phone:
        raise ValueError(f"{owner.delegate}, the delegate of {owner.id}, has no phone")


def _different(what: str, values: list[str]) -> None:
    for value in values:
        if values.count(value) > 1:
            raise ValueError(f"Two owners have the {what} {value}")


def secret_of(variable: str) -> SecretStr:
    """What is in a variable that is no setting: its name is the user's choice."""
    value = os.environ.get(variable) or dotenv_values(".env").get(variable)
    if not value:
        raise BadConfiguration(f"{variable} is not set, which mailroom.toml names.")
    return SecretStr(value)


def bare_environment() -> dict[str, str]:
    """What a program of the user's own needs of ours; no secret is in it."""
    return {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}


def _first_problem(error: ValidationError, *, upper: bool = False) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    name = ".".join(str(part) for part in first["loc"])
    said = first["msg"].removeprefix("Value error, ").rstrip(".")
    return f"{name.upper() if upper else name}: {said}." if name else f"{said}."
