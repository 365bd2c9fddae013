"""Fills that a bar made which the feed does not admit: a simulated venue fills on every bar that it is given."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from trading_assets.strategies.instruments import exact
from trading_assets.strategies.signals import ClosedBar

EVENT: Final = "fill in doubt"
_KEPT: Final = 8


@dataclass(frozen=True, slots=True)
class Fill:
    """A fill as it is told of.

    Attributes
    ----------
    ts
        When it happened by the engine's clock, in nanoseconds.
    text
        Order, side, quantity and price.
    """

    ts: int
    text: str

    @classmethod
    def of(cls, event: Any) -> Fill:
        """The engine's event."""
        side, size = event.order_side.name.lower(), exact(event.last_qty)
        return cls(event.ts_event, f"{event.client_order_id.value}: {side} {size:g} at {exact(event.last_px):g}")


@dataclass(slots=True)
class _Market:
    newest: int = 0
    doubt: str = ""
    fills: deque[Fill] = field(default_factory=lambda: deque(maxlen=_KEPT))


class DoubtfulFills:
    """Tells of fills that were made after a bar that was not admitted and before the market's next one.

    The sandbox matches orders on the adapter's bars, before any of our code sees them: what rests in an implausible
    bar's range is filled, and until the next bar a market order is filled at its close. A fill may be heard of before
    the bar that made it, or after; both carry the engine's time, the bar that of its coming.

    Parameters
    ----------
    tell
        (event, detail).
    """

    def __init__(self, tell: Callable[[str, str], None]) -> None:
        self._tell = tell
        self._markets: dict[str, _Market] = {}

    def bar(self, market: str, ts: int, refused: ClosedBar | None) -> None:
        """A market's newest bar came at ``ts``; None where it was admitted."""
        one = self._of(market)
        one.newest, one.doubt = ts, "" if refused is None else _described(refused)
        for fill in one.fills:
            self._judge(market, one, fill)
        one.fills.clear()

    def fill(self, market: str, fill: Fill) -> None:
        """An order was filled."""
        one = self._of(market)
        if fill.ts >= one.newest:
            one.fills.append(fill)
        self._judge(market, one, fill)

    def _judge(self, market: str, one: _Market, fill: Fill) -> None:
        if one.doubt and fill.ts >= one.newest:
            self._tell(EVENT, f"{market}: {fill.text}: {one.doubt}")

    def _of(self, market: str) -> _Market:
        return self._markets.setdefault(market, _Market())


def _described(bar: ClosedBar) -> str:
    return f"the {bar.timeframe} bar of {bar.ts:%Y-%m-%d %H:%M}, {bar.low:g} to {bar.high:g}, is not believed"
