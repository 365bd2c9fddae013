"""The local exchange as tests use it: candles in memory, faults on demand, a log of what was asked."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from trading_live.replay.faults import Fault, Faults
from trading_live.replay.server import ReplayServer
from trading_live.replay.tape import whole_tape

MARKET = "binance:BTC/USDT:USDT"
NO_CANDLES = pl.DataFrame(
    schema={"ts": pl.Datetime("us", "UTC"), **dict.fromkeys(("open", "high", "low", "close", "volume"), pl.Float64)}
)


class LocalExchange:
    """The local exchange with one market; ``faults`` is its script."""

    def __init__(self) -> None:
        self.faults = Faults()
        self._server = ReplayServer(whole_tape({MARKET: NO_CANDLES}), middlewares=[self.faults.middleware])

    def start(self) -> None:
        self._server.start()

    def stop(self) -> None:
        self._server.stop()

    @property
    def url(self) -> str:
        return self._server.url_http

    @property
    def requests(self) -> list[Mapping[str, str]]:
        """The queries for candles, oldest first."""
        return [asked.query for asked in self.faults.asked if asked.path.endswith("/klines")]

    def fall_silent(self, after: int) -> None:
        """Answer so many more queries for candles and no other: whoever is to be stopped on the way does not finish."""
        self.faults.script.append(Fault(fault="timeout", after=self.faults.counted() + after, times=None, seconds=3600))

    def hold(self, frame: pl.DataFrame, market: str = MARKET, funding: pl.DataFrame | None = None) -> None:
        """Serve these one-minute candles and payments (of ``funding_rates``), and no others, from now on."""
        self._server.show(whole_tape({market: frame}, funding={} if funding is None else {market: funding}))
