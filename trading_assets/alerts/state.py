"""What is known of the alerts so far: values that decisions are made of, and the state file holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict

from trading_assets.alerts.alert import Level

Kind = Literal["alert", "over", "escalation", "handover", "summary"]
"""Of a message: an alert; its end; nobody acknowledged it; another channel did not take it; what was held back."""


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True)


class Matter(_Value):
    """All alerts of one key.

    Attributes
    ----------
    key, level, what, where, remedy
        As told last.
    since
        When it was told first, since it was over, or since it was acknowledged.
    told_at, seen_at
        When it was told, and when it happened, last.
    count
        How often it happened since it was told last.
    channels
        Where it was told.
    acknowledged_at, escalated_at, over_at
        When; None where that has not happened.
    """

    key: str
    level: Level
    what: str
    where: str
    remedy: str
    since: AwareDatetime
    told_at: AwareDatetime
    seen_at: AwareDatetime
    count: int = 0
    channels: tuple[str, ...] = ()
    acknowledged_at: AwareDatetime | None = None
    escalated_at: AwareDatetime | None = None
    over_at: AwareDatetime | None = None

    @property
    def is_open(self) -> bool:
        """Whether it neither is over nor was acknowledged."""
        return self.over_at is None and self.acknowledged_at is None


class Delivery(_Value):
    """One message to one channel, from the decision until it was sent.

    Attributes
    ----------
    number
        Its own.
    channel
        By its name in the settings.
    key, kind, level, title, body
        What it says.
    made_at
        When that was decided.
    due_at
        When it may be sent.
    attempts
        Sends that failed.
    leased_until
        A process sends it, and has until then; None where none does.
    parts
        How many messages it stands for.
    """

    number: int
    channel: str
    key: str
    kind: Kind
    level: Level
    title: str
    body: str
    made_at: AwareDatetime
    due_at: AwareDatetime
    attempts: int = 0
    leased_until: AwareDatetime | None = None
    parts: int = 1


class HeldBack(_Value):
    """What a channel was not told one by one.

    Attributes
    ----------
    count
        Messages.
    level
        The worst.
    titles
        The first of them.
    since
        When the first was held back.
    not_before
        When they may be told in one message.
    """

    count: int
    level: Level
    titles: tuple[str, ...]
    since: AwareDatetime
    not_before: AwareDatetime


class AlertState(_Value):
    """Everything, as of the last decision.

    Attributes
    ----------
    matters
        By key.
    outbox
        What has not been sent.
    sent
        Channel -> when it was sent something, as far back as its limit looks.
    held
        Channel -> what it was not told one by one.
    next_number
        Of the next delivery.
    """

    version: Literal[1] = 1
    matters: Mapping[str, Matter] = {}
    outbox: tuple[Delivery, ...] = ()
    sent: Mapping[str, tuple[AwareDatetime, ...]] = {}
    held: Mapping[str, HeldBack] = {}
    next_number: int = 1
