"""What the account lost: equity with open trades, its peak, the day's loss, and losing streaks. A fold of the journal.

Everything comes from events of the journal and from the newest closes, so that a restarted node that reads its journal
again measures what it measured before. The peak and the day's first equity are marks in the journal for that reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from typing import Any, Final

from trading_assets.strategies.protections.changes import KIND
from trading_assets.strategies.protections.facts import Reading
from trading_assets.strategies.protections.states import NODE, Scope, market_scope, model_scope

PEAK: Final = "equity_peak"
"""The cause of a mark: the highest equity so far."""

DAY: Final = "equity_of_day"
"""The cause of a mark: the equity that a UTC day began with."""

START: Final = "equity_at_start"
"""The cause of a mark: the equity before the session's first trade, where the venue had to be asked for it."""

MARKS: Final = (PEAK, DAY, START)

_PEAK_STEP: Final = 0.001
"""A peak is marked where equity exceeds the one before by a thousandth: a drawdown is known that closely."""


def model_of(signal_id: str, market: str) -> str:
    """The model of a trade, from the name of its signal.

    >>> model_of("trend-v3-sample:A/USDT-20250101T0000", "sample:A/USDT")
    'trend'
    """
    return signal_id.partition(f"-{market}-")[0].rpartition("-v")[0]


@dataclass(slots=True)
class _Open:
    quantity: float
    average_price: float
    realized: float


@dataclass(slots=True)
class AccountMeter:
    """Follows an account by its journal.

    Attributes
    ----------
    start
        Equity before the first trade, in quote currency; None until it is known, and nothing is measured.
    """

    start: float | None
    _closed: float = 0.0
    _open: dict[str, _Open] = field(default_factory=dict)
    _prices: dict[str, float] = field(default_factory=dict)
    _streaks: dict[Scope, int] = field(default_factory=dict)
    _peak: float | None = None
    _day: tuple[datetime, float] | None = None

    @property
    def equity(self) -> float | None:
        """What was there, what was realised, and what open trades are worth at their markets' newest closes."""
        return None if self.start is None else self.start + self.result

    @property
    def result(self) -> float:
        """What was realised, and what open trades have gained, in quote currency."""
        floating = sum(
            one.realized + one.quantity * (self._prices.get(market, one.average_price) - one.average_price)
            for market, one in self._open.items()
        )
        return self._closed + floating

    def mark(self, market: str, price: float) -> None:
        """Take a market's newest close."""
        self._prices[market] = price

    def hear(self, kind: str, row: Mapping[str, Any]) -> None:
        """Take in an event of the journal, in the order of writing."""
        if kind == "positions":
            self._position(row)
        elif kind == KIND:
            self._risk_state(row)

    def marks(self, now: datetime) -> list[dict[str, Any]]:
        """What the journal is to hold of peak and day; given back by :meth:`hear`."""
        equity, found = self.equity, list[dict[str, Any]]()
        if equity is None:
            return found
        if self._peak is None or equity >= self._peak * (1 + _PEAK_STEP):
            found.append(mark_row(now, PEAK, equity))
        if self._day is None or now.date() > self._day[0].date():
            found.append(mark_row(now, DAY, equity))
        return found

    def readings(self, now: datetime) -> list[Reading]:
        """What is measured now, in percent and in trades."""
        equity = self.equity
        found = [
            Reading("model_losing_streak" if scope.kind == "model" else "market_losing_streak", scope, float(length))
            for scope, length in self._streaks.items()
        ]
        if equity is None:
            return found
        if self._peak is not None and self._peak > 0:
            found.append(Reading("drawdown_pct", NODE, 100 * (1 - equity / self._peak)))
        if self._day is not None and self._day[1] > 0:
            lost = 100 * (1 - equity / self._day[1]) if now.date() == self._day[0].date() else 0.0
            midnight = datetime.combine(now.date() + timedelta(days=1), time(), now.tzinfo)
            found.append(Reading("daily_loss_pct", NODE, lost, midnight))
        return found

    def _position(self, row: Mapping[str, Any]) -> None:
        market, realized = row["market"], row["realized_pnl"] or 0.0
        if row["event"] != "closed":
            self._open[market] = _Open(row["quantity"], row["average_price"], realized)
            return
        self._open.pop(market, None)
        self._closed += realized
        for scope in (market_scope(market), model_scope(model_of(row["signal_id"] or "", market))):
            if scope.name:
                self._streaks[scope] = self._streaks.get(scope, 0) + 1 if realized < 0 else 0

    def _risk_state(self, row: Mapping[str, Any]) -> None:
        """A mark, or the end of a hold: what was lost until then counts no more."""
        cause, scope = row["cause"], Scope(row["scope_kind"], row["scope"])
        if cause == PEAK:
            self._peak = row["value"]
        elif cause == START:
            self.start = row["value"]
        elif cause == DAY:
            self._day = row["ts"], row["value"]
        elif row["state"] == "running":
            if cause == "drawdown_pct":
                self._peak = None
            elif cause == "daily_loss_pct":
                self._day = None
            elif cause.endswith("losing_streak"):
                self._streaks.pop(scope, None)


def mark_row(now: datetime, cause: str, equity: float) -> dict[str, Any]:
    """A ``risk_states`` row that holds nothing back: what is measured from."""
    return {
        "ts": now,
        "scope_kind": NODE.kind,
        "scope": NODE.name,
        "state": "running",
        "cause": cause,
        "value": equity,
        "limit_value": None,
        "held_until": None,
        "reset_by": "auto",
        "request": "",
    }
