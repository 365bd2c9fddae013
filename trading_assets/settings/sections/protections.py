"""When trading is held back: the section `trading.protections`, read by the backtest and the node alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from trading_assets.settings.sections.section import Positive, Section


class ProtectionLimit(Section):
    """A limit, what becomes of trading where it is reached, and how that ends.

    Attributes
    ----------
    limit
        Reached means at or above it; None for none.
    state
        ``reducing``: nothing is entered. ``halted``: what is open is closed, too.
    cooldown_s
        How long at least, by the market's time.
    reset
        ``auto``: it ends by itself after the cooldown. ``person``: `trading resume` alone ends it.
    """

    limit: Positive | None = None
    state: Literal["reducing", "halted"] = "reducing"
    cooldown_s: float = Field(0.0, ge=0)
    reset: Literal["auto", "person"] = "auto"


def _plain(value: object) -> object:
    """A number alone is the limit."""
    return value if isinstance(value, Mapping | ProtectionLimit) else {"limit": value}


Protection = Annotated[
    ProtectionLimit,
    BeforeValidator(_plain),
    WithJsonSchema({"type": "string", "format": "a limit, or some of {limit, state, cooldown_s, reset}"}),
]
"""Written as a number, the limit, or as a mapping; what a mapping leaves out stays as the default has it."""

_MINUTE_S = 60.0
_HOUR_S = 3_600.0
_DAY_S = 86_400.0


def _off(**how: Any) -> Any:
    return ProtectionLimit(**how)


class ProtectionSettings(Section):
    """Limits that hold trading back: `reducing` enters nothing, `halted` also closes what is open; see concepts.

    What a backtest can know it obeys too; those limits are off unless they are set.
    """

    daily_loss_pct: Protection = Field(
        _off(state="halted"),
        description="Lost in a UTC day, open trades included, in percent of the equity that it began with. Ends with "
        "the day. In a backtest too.",
    )
    drawdown_pct: Protection = Field(
        _off(state="halted", reset="person"),
        description="Equity below its peak, open trades included, in percent of the peak. In a backtest too.",
    )
    model_losing_streak: Protection = Field(
        _off(cooldown_s=_DAY_S), description="Losing trades of one model in a row. In a backtest too."
    )
    market_losing_streak: Protection = Field(
        _off(cooldown_s=_DAY_S), description="Losing trades on one market in a row. In a backtest too."
    )
    orders_per_minute: Protection = Field(
        _off(state="reducing", reset="person"),
        description="Orders of any kind in a minute; `trading.risk.max_orders_per_minute` refuses single entries "
        "before. In a backtest too.",
    )
    signals_per_minute: Protection = Field(
        _off(reset="person"), description="Entries wanted by one model in a minute. In a backtest too."
    )
    reject_rate_pct: Protection = Field(
        ProtectionLimit(limit=50.0, cooldown_s=15 * _MINUTE_S),
        description="Of the orders of the last ten minutes, if these are six or more: denied or rejected.",
    )
    stale_data_s: Protection = Field(
        ProtectionLimit(limit=150.0), description="How long a market's bar is overdue; as `node.feed.max_silence_s`."
    )
    clock_skew_s: Protection = Field(
        ProtectionLimit(limit=2.0, cooldown_s=_MINUTE_S),
        description="Between this machine's clock and the venue's: what is signed 1 to 5 s off is refused there.",
    )
    divergence_bps: Protection = Field(
        _off(cooldown_s=_DAY_S, reset="person"),
        description="A day's live trades below their backtest beside them, in basis points a trade.",
    )
    coverage_gap_pct: Protection = Field(
        ProtectionLimit(limit=10.0, cooldown_s=_DAY_S),
        description="Promised less measured coverage of a model's prediction sets, in percentage points.",
    )
    funding_bps: Protection = Field(
        _off(cooldown_s=8 * _HOUR_S),
        description="Of a perpetual's newest payment, either way. In a backtest too.",
    )
    spread_bps: Protection = Field(
        ProtectionLimit(limit=50.0, cooldown_s=5 * _MINUTE_S), description="Between best bid and ask of a market."
    )
    venue_errors_per_minute: Protection = Field(
        ProtectionLimit(limit=5.0, cooldown_s=5 * _MINUTE_S), description="Requests that the venue failed to answer."
    )
    venue_latency_s: Protection = Field(
        ProtectionLimit(limit=5.0, cooldown_s=5 * _MINUTE_S),
        description="Median of the last minute's orders, from sending to the venue's word.",
    )
    cancel_after_s: float | None = Field(
        None,
        ge=5,
        description="Dead man's switch: the venue cancels all orders where the node gives no sign for so long, stops "
        "among them. Empty: off.",
    )

    @model_validator(mode="before")
    @classmethod
    def _over_the_defaults(cls, given: Any) -> Any:
        if not isinstance(given, Mapping):
            return given
        told = dict(given)
        for name, field in cls.model_fields.items():
            value = _plain(told[name]) if name in told else None
            if isinstance(field.default, ProtectionLimit) and isinstance(value, Mapping):
                told[name] = {**field.default.model_dump(), **value}
        return told

    def limits(self) -> dict[str, ProtectionLimit]:
        """Key -> each that has a limit."""
        every = ((name, getattr(self, name)) for name in type(self).model_fields)
        return {name: one for name, one in every if isinstance(one, ProtectionLimit) and one.limit is not None}
