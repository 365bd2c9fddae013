"""From a bar on the wire to its order on the wire, in live mode: ``python -m benchmarks.wire [one|many]``.

The local exchange runs in this process. It notes when it hands the bar that completes a close to the socket, and when
the request of an entry arrives. The node runs in another process, through the venue's adapter, with signed orders; the
peer is the same engine and adapter with a strategy that sends a market order on each decision bar and does nothing
else: no features, no model, no limits, no journal.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl

import numpy as np
from aiohttp import web

from benchmarks.live import MARKETS, START, Case, bar_key, latencies, prepare, run_noting
from benchmarks.table import Measurement, Target, main
from trading_assets.core.timeframes import Timeframe
from trading_assets.features import LIVE_ENVIRONMENT
from trading_assets.settings import LabelSettings, Settings, load_settings
from trading_assets.store import open_store
from trading_assets.strategies.instruments import raw_symbol
from trading_assets.strategies.orders.order_ids import LENGTH, OrderIds
from trading_live.replay import Faults, ReplayServer, read_tape
from trading_live.replay.orders.opening import terms_of
from trading_live.replay.tape import Kline

NEAR: Final = LabelSettings(take_profit_pct=0.2, stop_loss_pct=0.2, horizon_bars=1)
"""Barriers so near that most trades are over before the next decision."""

_FAR: Final = LabelSettings(take_profit_pct=2.0, stop_loss_pct=2.0, horizon_bars=1)
_HOUR: Final = Timeframe.parse("1h")

ONE: Final = Case(markets=1, closes=330, seconds=0.25, warm_up=10, max_p99=0.050, labels=NEAR)
MANY: Final = Case(
    markets=20,
    closes=23,
    seconds=5.0,
    warm_up=4,
    max_p99=0.300,
    timeframes=(*(Timeframe.parse(one) for one in ("5m", "15m", "30m")), _HOUR),
    labels=_FAR,
    enter=(_HOUR,),
)
"""Eighty decisions at each full hour, and at every other one an entry on each market. Faster, and the adapter holds
orders back: it keeps the venue's limits, 50 orders a second and 1,200 a minute, by this machine's clock."""

_MAX_P50_S: Final = 0.010
_LEAST_ORDERS: Final = 200
_LEAST_OF_MANY: Final = 120
_ORDER: Final = "/fapi/v1/order"
_PEER: Final = "same adapter, an order in on_bar alone"
_PEER_ID: Final = "peer-"
_IDS: Final = OrderIds()
_SETTINGS: Final = {
    "TRADING_NODE__MODE": "live",
    "TRADING_NODE__STARTING_BALANCE": "100000000",
    "TRADING_TRADING__RISK__MAX_DAILY_LOSS": "1e9",
    "TRADING_TRADING__RISK__MAX_ORDERS_PER_MINUTE": "1000000",
    "TRADING_TRADING__PROTECTIONS__REJECT_RATE_PCT": "1e9",
    "TRADING_TRADING__PROTECTIONS__STALE_DATA_S": "1e9",
}
"""Orders go to the local exchange, and entries go on, whatever the random prices bring. Logs are as by default."""


@dataclass(slots=True)
class Wire:
    """What passed the exchange's sockets, by the wall clock in nanoseconds.

    Attributes
    ----------
    timeframes
        That are decided on.
    bars
        Symbol, timeframe and close -> when that bar was handed over.
    newest
        Of the bars, the one handed over last.
    orders
        The bar that each entry is on, and when its request arrived.
    entries
        The node's entries by their ids, and the bar of each.
    """

    timeframes: dict[str, Timeframe]
    entries: dict[str, str] = field(default_factory=dict)
    bars: dict[str, int] = field(default_factory=dict)
    newest: str = ""
    orders: list[tuple[str, int]] = field(default_factory=list)

    @classmethod
    def of(cls, case: Case) -> Wire:
        """The wire of a case: the ids of entries follow from market, model and bar."""
        entries: dict[str, str] = {}
        for market, timeframe in product(MARKETS[: case.markets], case.timeframes):
            for number in range((case.end - START) // timeframe.length):
                opened = START + number * timeframe.length
                signal_id = f"syna_{timeframe}-v1-{market}-{opened:%Y%m%dT%H%M}"
                order_id = _IDS.entry(market, signal_id, opened + timeframe.length)
                entries[order_id] = bar_key(raw_symbol(market), round(opened.timestamp() * 1000), timeframe)
        return cls({str(one): one for one in case.timeframes}, entries)

    def sent(self, bar: Kline, now: int) -> None:
        """A bar is handed over."""
        if (timeframe := self.timeframes.get(str(bar.interval))) is not None:
            self.newest = bar_key(bar.symbol, bar.open_ms, timeframe)
            self.bars[self.newest] = now

    def noting(self) -> Any:
        """Notes each entry as it arrives, before anything is done with it."""

        @web.middleware
        async def middleware(request: web.Request, handler: Any) -> web.StreamResponse:
            now = time.time_ns()
            if request.method == "POST" and request.path == _ORDER:
                params = dict(parse_qsl(f"{request.query_string}&{await request.text()}"))
                order_id = params["newClientOrderId"]
                on = self.newest if _PEER_ID in order_id else self.entries.get(order_id[-LENGTH:])
                if on is not None:
                    self.orders.append((on, now))
            response: web.StreamResponse = await handler(request)
            return response

        return middleware

    def latencies(self, case: Case) -> list[float]:
        """Seconds to each entry on a close of all timeframes: from the bar that completes it, or from its own."""
        complete: dict[int, int] = {}
        for bar, at in self.bars.items():
            close = int(bar.split()[2])
            complete[close] = max(at, complete.get(close, at))
        first, length = round(case.begin.timestamp() * 1000), case.longest.micros // 1000
        return [
            (now - (complete[close] if complete[close] < now else self.bars[bar])) / 1e9
            for bar, now in self.orders
            if (close := int(bar.split()[2])) > first and close % length == 0
        ]


def run(names: Iterable[str] = ("one", "many")) -> list[Measurement]:
    """Quantiles over some hundred orders each."""
    cases = {"one": _one, "many": _many}
    return [measured for name in names for measured in cases[name]()]


def _one() -> list[Measurement]:
    with tempfile.TemporaryDirectory() as folder:
        settings = begin(Path(folder), ONE)
        alone = replace(ONE, closes=230)  # an order on each
        peer = _played(settings, alone, [_PEER_ID]).latencies(alone)
        ours = _played(settings, ONE, [str(Path(folder) / "decided.json")]).latencies(ONE)
    _require(ours, peer)
    name, peers = f"bar on the wire to its order on the wire, {ONE}", _quantiles(peer)
    return [
        Measurement(f"{name}, {quantile} of {len(ours)}", seconds, 0, _PEER, beside, Target(max_seconds=limit))
        for quantile, seconds, beside, limit in zip(
            ("p50", "p99"), _quantiles(ours), peers, (_MAX_P50_S, ONE.max_p99), strict=True
        )
    ]


def _many() -> list[Measurement]:
    with tempfile.TemporaryDirectory() as folder:
        settings, noted = begin(Path(folder), MANY), Path(folder) / "decided.json"
        wire = _played(settings, MANY, [str(noted)])
        decided = latencies(MANY, wire.bars, json.loads(noted.read_text())["decided"])
        ours = wire.latencies(MANY)
    _require(ours, least=_LEAST_OF_MANY)
    found = []
    for name, seconds in (
        (f"80 decisions at one instant to the journal, orders sent, {MANY}", decided),
        ("the same to the orders on the wire", ours),
    ):
        p50, p99 = _quantiles(seconds)
        found += [
            Measurement(f"{name}, p50 of {len(seconds)}", p50),
            Measurement(f"{name}, p99", p99, target=Target(max_seconds=MANY.max_p99)),
        ]
    return found


def _require(*found: Sequence[float], least: int = _LEAST_ORDERS) -> None:
    for times in found:
        assert len(times) >= least, f"{len(times)} orders on the wire, of {least} or more"


def _quantiles(seconds: Sequence[float]) -> tuple[float, float]:
    p50, p99 = (float(np.quantile(seconds, one)) for one in (0.5, 0.99))
    return p50, p99


def begin(folder: Path, case: Case) -> Settings:
    """Settings in the environment, candles and models."""
    os.environ |= _SETTINGS | {
        "TRADING_DATA_DIR": str(folder / "data"),
        "TRADING_STORE__URL": f"duckdb:///{folder / 'm.duckdb'}",
    }
    settings = load_settings()
    prepare(settings, case)
    return settings


def _played(settings: Settings, case: Case, arguments: Sequence[str]) -> Wire:
    """Play the case to a process of this module."""
    wire = Wire.of(case)
    with playing(settings, case, ["benchmarks.wire", "node", *arguments], wire) as (server, process):
        while not server.wait(1):
            if process.poll() is not None:
                said = (settings.data_dir / "terminal.txt").read_text()[-2000:]
                raise RuntimeError(f"the node ended with {process.returncode}: {said}")
        time.sleep(1)
        process.send_signal(signal.SIGTERM)
        process.wait(60)
    return wire


@contextmanager
def playing(
    settings: Settings, case: Case, module: Sequence[str], wire: Wire | None = None, faults: Faults | None = None
) -> Iterator[tuple[ReplayServer, subprocess.Popen[bytes]]]:
    """The local exchange, and a process of a module at it."""
    markets = dict.fromkeys(MARKETS[: case.markets], "1m")
    tape = read_tape(open_store(settings.store_url), markets, start=START, end=case.end, history=case.history)
    speed = case.longest.length.total_seconds() / case.seconds
    with ReplayServer(
        tape,
        speed=speed,
        on_sent=None if wire is None else wire.sent,
        middlewares=[] if wire is None else [wire.noting()],
        faults=faults,
        terms=terms_of(settings),
    ) as server:
        address = {"TRADING_NODE__BASE_URL_HTTP": server.url_http, "TRADING_NODE__BASE_URL_WS": server.url_ws}
        environment = os.environ | address | LIVE_ENVIRONMENT
        with (
            (settings.data_dir / "terminal.txt").open("a") as output,
            subprocess.Popen([sys.executable, "-m", *module], env=environment, stderr=output) as process,
        ):
            try:
                yield server, process
            finally:
                process.kill()


def run_peer() -> None:
    """The peer's process: an engine as the node's, and a strategy that sends an order on each decision bar."""
    from nautilus_trader.model import BarType, ClientOrderId, InstrumentId, OrderSide, StrategyId
    from nautilus_trader.trading import Strategy, StrategyConfig

    from trading_assets.strategies.instruments import bar_type
    from trading_live.execution.registry import execution_of
    from trading_live.node.engine import build_engine
    from trading_live.recovery.from_journal import Recovered
    from trading_live.venues.registry import venue_of

    settings = load_settings()
    venue, market = venue_of(settings), MARKETS[0]
    instrument = InstrumentId.from_str(venue.instrument_id(market))
    decides, finer = (BarType.from_str(bar_type(str(instrument), one)) for one in ("15m", "1m"))

    class Peer(Strategy):
        count = 0

        def __new__(cls) -> Peer:
            settings = StrategyConfig(strategy_id=StrategyId("PEER-001"), log_events=False)
            return super().__new__(cls, settings)  # type: ignore[call-arg]

        def on_start(self) -> None:
            self.subscribe_bars(finer)
            self.subscribe_bars(decides)

        def on_bar(self, bar: Any) -> None:
            if bar.bar_type == decides:
                self.count += 1
                side = OrderSide.BUY if self.count % 2 else OrderSide.SELL
                traded = self.cache.instrument(instrument)
                assert traded is not None
                size = traded.make_qty(1.0)
                name = ClientOrderId(f"{_PEER_ID}{self.count}")
                self.submit_order(self.order_factory.market(instrument, side, size, client_order_id=name))

    engine = build_engine(settings, venue, execution_of(settings, venue), {market: instrument}, Recovered())
    engine.add_strategy(Peer())
    engine.run()


if __name__ == "__main__":
    if sys.argv[1:2] != ["node"]:
        main(run, __doc__, title="On the wire", parts=("one", "many"))
    elif sys.argv[2] == _PEER_ID:
        run_peer()
    else:
        run_noting(Path(sys.argv[2]))
