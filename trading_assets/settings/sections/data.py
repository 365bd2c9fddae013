"""The data layer: history, markets, store, schedules."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from typing import Literal, Self

from pydantic import AwareDatetime, Field, field_validator, model_validator

from trading_assets.core.candles import timeframe_minutes
from trading_assets.core.errors import SettingsError
from trading_assets.settings.sections.section import Positive, Section

EventKind = Literal["rename", "split", "redenomination", "contract_size", "delisting"]


class History(Section):
    """The months that exist as partitions."""

    start: date = date(2025, 1, 1)
    end: date | None = Field(None, description="Exclusive; leave empty for a history that goes on today.")

    @model_validator(mode="after")
    def _not_empty(self) -> Self:
        if self.end is not None and self.end <= self.start:
            raise ValueError(f"end {self.end} is not after start {self.start}")
        return self


class MarketEvent(Section):
    """Something that changed what a market's price or volume means, or ended it."""

    at: AwareDatetime = Field(description="When it took effect: the open of the first candle after it.")
    kind: EventKind
    factor: Positive | None = Field(
        None, description="New price over old price: 0.1 for a split of one coin into ten, 1000 for 1000 to 1."
    )
    note: str = Field("", description="Where it was announced, the old name, and the like.")
    who: str = Field("", description="Who says so.")

    @field_validator("at", mode="before")
    @classmethod
    def _utc(cls, value: object) -> object:
        """A day, and a time without a zone, are UTC."""
        if isinstance(value, str):
            try:
                value = datetime.fromisoformat(value)
            except ValueError:
                return value
        if isinstance(value, date) and not isinstance(value, datetime):
            return datetime(value.year, value.month, value.day, tzinfo=UTC)
        if isinstance(value, datetime):
            return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
        return value


class MarketSettings(Section):
    """One market and the source of its candles."""

    source: str = Field(description="A name under `sources`.")
    timeframe: str = Field("1m", description="The finest timeframe that the source has.")
    funding: str | None = Field(
        None, description="A perpetual's funding rates: a name under `sources`, or none; empty means its own source."
    )
    second_exchange: str | None = Field(None, description="Another of the markets, the same asset elsewhere.")
    events: list[MarketEvent] = Field(
        [], description="Splits, redenominations, renames: no row that looks across one is learnt from or traded."
    )

    @field_validator("events")
    @classmethod
    def _once(cls, value: list[MarketEvent]) -> list[MarketEvent]:
        keys = [(event.at, event.kind) for event in value]
        if twice := [f"{at:%Y-%m-%d %H:%M} {kind}" for at, kind in keys if keys.count((at, kind)) > 1]:
            raise ValueError(f"{twice[0]} is there twice; keep one of them")
        return sorted(value, key=lambda event: event.at)

    @field_validator("timeframe")
    @classmethod
    def _known(cls, value: str) -> str:
        try:
            timeframe_minutes(value)
        except SettingsError as error:
            raise ValueError(f"{error.what}; {error.remedy}") from None
        return value


class StoreSettings(Section):
    """Where the tables live."""

    url: str | None = Field(
        None, description="duckdb:///path or postgresql://user@host/database; empty means a file in the data folder."
    )
    lock_timeout_s: Positive = 60.0


class FetchSettings(Section):
    """How candles are fetched."""

    reread_bars: int = Field(
        240, ge=0, description="How many of the newest bars are asked for once more: late ones and revisions."
    )


class ScheduleSettings(Section):
    """When the schedules fire (cron, UTC), and when data without a fresh run counts as late."""

    candles: str = "5 * * * *"
    sentiment: str = "10 * * * *"
    retrain: str = "30 2 * * *"
    drift: str = "50 1 * * *"
    comparison: str = Field("40 0 * * *", description="Exchanges side by side: the month of the day before.")
    challengers: str = Field("50 0 * * *", description="Champion and challengers by what they said in shadow.")
    divergence: str = Field("20 1 * * *", description="The node's newest days beside a backtest of the same bars.")
    late_after_hours: Positive = Field(2.0, description="Candles, bars and features older than this are late.")
    stale_after_hours: Positive = Field(6.0, description="Older than this they are stale.")

    @model_validator(mode="after")
    def _late_before_stale(self) -> Self:
        if self.late_after_hours >= self.stale_after_hours:
            raise ValueError(f"late_after_hours {self.late_after_hours:g} is not below {self.stale_after_hours:g}")
        return self

    @field_validator("candles", "sentiment", "retrain", "drift", "comparison", "challengers", "divergence")
    @classmethod
    def _is_cron(cls, value: str) -> str:
        fields = value.split()
        if len(fields) != len(_CRON) or not all(map(_fits_cron, fields, _CRON)):
            raise ValueError("not five cron fields of numbers: minute, hour, day, month, weekday")
        return value


_CRON = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
"""Least and most of minute, hour, day, month and weekday."""


def _fits_cron(field: str, bounds: tuple[int, int]) -> bool:
    for part in field.split(","):
        match = re.fullmatch(r"(?:\*|(\d+)(?:-(\d+))?)(?:/([1-9]\d*))?", part)
        if match is None:
            return False
        numbers = [int(number) for number in match.groups()[:2] if number]
        if numbers != sorted(numbers) or any(not bounds[0] <= number <= bounds[1] for number in numbers):
            return False
    return True
