"""From the fill of an entry to its stop at rest at the venue: ``python -m benchmarks.live_stop [whole|parts]``.

The local exchange runs in this process, and sees by this machine's clock from when until when more is held than the
stops that rest would close; the node runs in another process, through the venue's adapter. Nothing goes wrong. An entry
is filled at once, in up to ten trades, or by half, and the rest with the next candle: then each half counts.
"""

from __future__ import annotations

import os
import signal
import tempfile
import time
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.live import Case
from benchmarks.table import Measurement, Target, main
from benchmarks.wire import NEAR, begin, playing
from trading_live.replay.faults import Fault, Faults
from trading_live.replay.orders.exchange import Exchange

_CASE: Final = Case(markets=4, closes=34, seconds=4.0, warm_up=2, max_p99=1.0, labels=NEAR)
"""A minute of the market lasts longer than a node waits for the rest of an entry (0.2 s)."""

_WAYS: Final = {"whole": "filled at once", "parts": "half of it a candle later"}
_LEAST: Final = 60


class Bare:
    """Sees when more is held than the stops would close.

    Attributes
    ----------
    spans
        Seconds, each from the fill that made it so.
    """

    def __init__(self, exchange: Exchange) -> None:
        self.spans: list[float] = []
        self._exchange, self._since = exchange, dict[str, float]()
        self._fill, self._tell = exchange.fill, exchange.tell
        exchange.fill = self._filled  # type: ignore[method-assign]
        exchange.tell = self._told  # type: ignore[method-assign]

    def _filled(self, order_id: int, *rest: Any, **more: Any) -> None:
        symbol = self._exchange.orders[order_id].symbol
        before = abs(self._held(symbol))
        self._fill(order_id, *rest, **more)
        if abs(self._held(symbol)) > before and self._is_bare(symbol):
            self._since.setdefault(symbol, time.monotonic())
        self._look(symbol)

    def _told(self, order: Any, *rest: Any) -> None:
        self._tell(order, *rest)
        self._look(order.symbol)

    def _look(self, symbol: str) -> None:
        if symbol in self._since and not self._is_bare(symbol):
            self.spans.append(time.monotonic() - self._since.pop(symbol))

    def _is_bare(self, symbol: str) -> bool:
        held = self._held(symbol)
        side = "SELL" if held > 0 else "BUY"
        stops = (one for one in self._exchange.waiting(symbol) if one.kind == "STOP_MARKET" and one.side == side)
        return sum((one.quantity for one in stops), Decimal(0)) < abs(held)

    def _held(self, symbol: str) -> Decimal:
        return self._exchange.ledger.position(symbol, "BOTH").quantity


def run(ways: Iterable[str] = tuple(_WAYS)) -> list[Measurement]:
    """Quantiles of each way in which an entry is filled."""
    found = []
    for way in ways:
        spans = _spans(_CASE, parts=way == "parts")
        assert len(spans) >= _LEAST, f"{len(spans)} entries, of {_LEAST} or more"
        name = f"an entry's fill to its stop at the venue, {_WAYS[way]}, {_CASE}"
        p50, p99 = (float(np.quantile(spans, one)) for one in (0.5, 0.99))
        found += [
            Measurement(f"{name}, p50 of {len(spans)}", p50),
            Measurement(f"{name}, p99", p99, target=Target(max_seconds=_CASE.max_p99)),
            Measurement(f"{name}, longest", max(spans)),
        ]
    return found


def _spans(case: Case, *, parts: bool) -> list[float]:
    os.environ["TRADING_LOGS__LEVEL"] = "ERROR"  # a cancel that comes too late is one of many here
    script = [Fault(fault="filled_in_parts", path="POST /fapi/v1/order", times=None)] if parts else []
    with tempfile.TemporaryDirectory() as folder:
        settings = begin(Path(folder), case)
        with playing(settings, case, ["trading_live"], faults=Faults(script)) as (server, process):
            bare = Bare(server.account.exchange)
            while not server.wait(1):
                if process.poll() is not None:
                    said = (settings.data_dir / "terminal.txt").read_text()[-2000:]
                    raise RuntimeError(f"the node ended with {process.returncode}: {said}")
            process.send_signal(signal.SIGTERM)
            process.wait(60)
    return bare.spans


if __name__ == "__main__":
    main(run, __doc__, title="Stops", parts=_WAYS)
