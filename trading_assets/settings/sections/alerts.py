"""The section `alerts`: who is told of what, how, and how often."""

from __future__ import annotations

import re
from datetime import time
from typing import Annotated, Any, Final, Literal, Self
from zoneinfo import ZoneInfo, available_timezones

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema, field_validator, model_validator

from trading_assets.core.secrets import ALERT_URL
from trading_assets.settings.names import instead
from trading_assets.settings.sections.section import Misfit, Positive, Section

LevelName = Literal["info", "warning", "critical"]

_VARIABLE: Final = re.compile(rf"[A-Z][A-Z0-9_]*{ALERT_URL}")
_CLOCK: Final = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")


def _clock(value: object) -> object:
    """``22:00`` as YAML has it: a text, or the minutes of a number in base 60."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 24 * 60:
        return time(*divmod(value, 60))
    if isinstance(value, str):
        if (found := _CLOCK.fullmatch(value)) is None:
            raise ValueError(f"{value!r} is no time of a day; write e.g. '22:00'")
        return time(int(found[1]), int(found[2]))
    return value


TimeOfDay = Annotated[
    time,
    BeforeValidator(_clock),
    PlainSerializer(lambda value: value.strftime("%H:%M")),
    WithJsonSchema({"type": "string", "format": "time of day, e.g. '22:00'"}),
]


class QuietHours(Section):
    """When a channel is told of critical alerts alone; the rest comes in one message afterwards."""

    begin: TimeOfDay = Field(description="First minute; later than `end` where it goes over midnight.")
    end: TimeOfDay = Field(description="First minute that is not quiet any more.")
    time_zone: str = Field("UTC", description="Whose clock that is, e.g. Europe/Berlin.")

    @field_validator("time_zone")
    @classmethod
    def _exists(cls, name: str) -> str:
        if name not in (known := available_timezones()):
            raise ValueError(f"no time zone {name!r}; {instead(name, sorted(known))}")
        return name

    @model_validator(mode="after")
    def _some_time_is_left(self) -> Self:
        if self.begin == self.end:
            raise Misfit(f"quiet from {self.begin:%H:%M} to {self.end:%H:%M}: leave `quiet` out, or name two times")
        return self

    @property
    def zone(self) -> ZoneInfo:
        """The time zone."""
        return ZoneInfo(self.time_zone)


class ChannelSettings(Section):
    """One way to reach somebody: where its address stands, and what goes there."""

    kind: str = Field("apprise", description="How it is sent: `apprise`, or an alert channel of a plug-in.")
    url_variable: str = Field(
        description="The NAME of the environment variable that holds apprise's address, such as tgram://TOKEN/CHAT; "
        f"it ends in {ALERT_URL}. Everything in it is a secret: it never stands in a file, and is never shown."
    )
    min_level: LevelName = Field("warning", description="Nothing below it goes there.")
    keys: list[str] = Field(
        ["*"], min_length=1, description="Patterns of keys that go there, e.g. `node/*`; `!drift/*` leaves some out."
    )
    quiet: QuietHours | None = Field(None, description="Empty: at any hour.")
    max_messages: int = Field(
        20, ge=1, description="At most so many within `per_minutes`. What is more comes in one message, critical later."
    )
    per_minutes: Positive = 60.0

    @field_validator("url_variable", mode="before")
    @classmethod
    def _is_a_name(cls, name: Any) -> str:
        if not isinstance(name, str) or not _VARIABLE.fullmatch(name):  # it may be an address: a misfit is not shown
            raise Misfit(
                f"not the name of an environment variable that ends in {ALERT_URL}; write e.g. CHAT{ALERT_URL}, and "
                "the address itself into that variable"
            )
        if name.startswith("TRADING_"):
            raise ValueError(f"{name} would be read as a setting; write {name.removeprefix('TRADING_')}")
        return name


class EscalationSettings(Section):
    """Who is told of a critical alert that nobody acknowledges."""

    to: str = Field(description="A channel.")
    after_minutes: Positive = Field(15.0, description="So long after the alert was told first.")
    every_minutes: Positive = Field(15.0, description="And again, until `trading alerts ack`, or until it is over.")


class AlertSettings(Section):
    """Messages to people, from the node, from Dagster, and from `trading alerts watch`."""

    channels: dict[str, ChannelSettings] = Field({}, description="Empty: nobody is told.")
    levels: dict[str, LevelName | Literal["off"]] = Field(
        {}, description="Pattern of keys -> level, in place of what the source says; the first that fits counts."
    )
    repeat_minutes: Positive = Field(
        60.0, description="An alert of the same key, and no higher level, is told again after so long, with its count."
    )
    escalation: EscalationSettings | None = Field(None, description="Empty: nobody else.")
    attempts: int = Field(3, ge=1, description="Sends of a message before it is given up; a critical one never is.")
    retry_s: Positive = Field(5.0, description="Wait before the second one; doubles, to five minutes at most.")
    timeout_s: Positive = Field(10.0, description="So long a send may take.")
    heartbeat_s: Positive = Field(30.0, description="A node's heartbeat that is older has stopped.")
    look_s: Positive = Field(30.0, description="How often `trading alerts watch --forever` and a supervisor look.")
    sources: list[str] = Field(
        [], description="What they look at, e.g. `heartbeat`. Empty: all that there is, those of plug-ins too."
    )

    @field_validator("channels")
    @classmethod
    def _names(cls, channels: dict[str, Any]) -> dict[str, Any]:
        for name in channels:
            if not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", name):
                raise Misfit(f"channel {name!r}: write small letters, digits, - and _", name)
        return channels

    @field_validator("levels", mode="before")
    @classmethod
    def _off_is_no_truth(cls, levels: Any) -> Any:
        """YAML reads ``off`` as false."""
        if not isinstance(levels, dict):
            return levels
        return {pattern: "off" if level is False else level for pattern, level in levels.items()}

    @model_validator(mode="after")
    def _channel_of_escalation_exists(self) -> Self:
        if self.escalation is not None and self.escalation.to not in self.channels:
            to = self.escalation.to
            raise Misfit(f"no alert channel {to!r}; {instead(to, self.channels)}", "escalation", "to")
        return self
