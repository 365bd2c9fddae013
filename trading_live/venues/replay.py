"""The local exchange: it speaks Binance's and Bybit's protocols, and replays stored candles on a clock of its own."""

from __future__ import annotations

import json
import socket
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from importlib import import_module
from typing import Any, ClassVar, Final

from trading_assets.core.candles import timeframe_minutes
from trading_assets.core.errors import NodeError, SettingsError
from trading_assets.settings import Settings
from trading_assets.strategies.instruments import raw_symbol
from trading_assets.strategies.orders.matching import AT_VENUE, Matching
from trading_live.replay.pace import AHEAD_MS, HEARD, ORDERS_AHEAD_MS
from trading_live.venues import binance, bybit
from trading_live.venues.account.keys import Credentials
from trading_live.venues.address import is_loopback
from trading_live.venues.binance import Binance
from trading_live.venues.bybit import Bybit
from trading_live.venues.contract import DataClient, Glance, Product, Venue

_GLANCE_S: Final = 0.5
_PATIENCE_S: Final = 5.0
_REPORT_S: Final = 0.02
_MOST: Final = 4096
"""Of an answer to a report, which is short: all of it comes at once."""


class Replay(Venue):
    """The local exchange, in Binance's words; its clock and its symbols are asked for in these by every node."""

    name = "replay"
    instruments: ClassVar[dict[Product, str]] = dict.fromkeys(("spot", "perpetual"), "{base}{quote}-PERP.BINANCE")
    timeframes: ClassVar[tuple[str, ...]] = Binance.timeframes
    books = Binance.books
    historic = True
    finer_bars_first = True
    reloads_instruments = Binance.reloads_instruments
    _streams: ClassVar[str] = "/ws"

    @property
    def address(self) -> str:
        """Its REST address."""
        return self.node.base_url_http or f"http://{self.settings.replay.host}:{self.settings.replay.port}"

    @property
    def address_ws(self) -> str:
        """Its websocket address."""
        return self.node.base_url_ws or f"ws://{self.settings.replay.host}:{self.settings.replay.port}{self._streams}"

    def carries(self, market: str) -> bool:
        """Whatever is stored can be replayed."""
        return True

    def require(self, markets: Iterable[str], glance: Glance) -> None:
        """Refuse what is not replayed."""
        if missing := sorted(market for market in markets if not _has(glance, market)):
            raise NodeError(
                f"the replay does not have {', '.join(missing)}", where="markets", remedy="replay them too: --market"
            )

    def also(self, wanted: Iterable[str], needed: Iterable[str], glance: Glance) -> set[str]:
        """What is replayed."""
        return {market for market in wanted if _has(glance, market)}

    def finest_timeframe(self, markets: Sequence[str]) -> str:
        """The coarsest of the timeframes that are stored of the markets."""
        stored = [self.settings.markets[market].timeframe for market in markets if market in self.settings.markets]
        return max(stored, key=timeframe_minutes, default="1m")

    def data_client(self, markets: Sequence[str]) -> DataClient:
        """The adapter's, at the local address; everything is traded as a perpetual there."""
        return binance.data_client(self.node, self.address, self.address_ws, perpetual=True)

    def order_client(self, markets: Sequence[str], untraded: Collection[str] = ()) -> DataClient:
        """The adapter's, with made-up keys, at an address of this machine and nowhere else."""
        self.check_address()
        keys, known = self.credentials(markets), [self.instrument_id(one) for one in markets if one not in untraded]
        return binance.order_client(self.node, keys, self.address, self.address_ws, perpetual=True, known=known)

    def check_address(self) -> None:
        """Orders go nowhere but to this machine."""
        require_loopback(self.address)
        require_loopback(self.address_ws)

    def credentials(self, markets: Sequence[str]) -> Credentials:
        """Those that the local exchange publishes."""
        made_up = import_module("trading_live.replay.orders.keys")
        return Credentials(made_up.REHEARSAL_KEY, made_up.REHEARSAL_SECRET)

    def matching(self, markets: Sequence[str]) -> Matching:
        """Everything is a perpetual there."""
        return AT_VENUE

    def look(self) -> Glance:
        """Ask for its clock and its symbols, in plain words, where the engine would wait for half a minute."""
        try:
            clock = _get(f"{self.address}/fapi/v1/time", _PATIENCE_S)
            info = _get(f"{self.address}/fapi/v1/exchangeInfo", _PATIENCE_S)
            symbols = frozenset(str(one["symbol"]) for one in info["symbols"])
            return Glance(datetime.fromtimestamp(clock["serverTime"] / 1000, UTC), symbols)
        except (urllib.error.URLError, OSError, ValueError, KeyError, TypeError) as error:
            reason = getattr(error, "reason", error)
            raise NodeError(
                f"the local exchange does not answer: {reason}",
                where=self.address,
                remedy="start trading replay first, or set node.environment to testnet or live",
            ) from None

    def clock(self) -> ReplayClock:
        """Its own."""
        return ReplayClock(self.address)

    def follow(self, heard: Callable[[], datetime | None]) -> ProgressReports:
        """Tell it how far the node has come; where it fills the node's orders, it must not be far ahead."""
        ahead_ms = ORDERS_AHEAD_MS if self.node.mode == "live" else AHEAD_MS
        return ProgressReports(self.address, heard, ahead_ms)


VENUE = Replay


class BybitReplay(Replay):
    """The local exchange, in Bybit's words."""

    instruments: ClassVar[dict[Product, str]] = dict.fromkeys(("spot", "perpetual"), Bybit.instruments["perpetual"])
    timeframes = Bybit.timeframes
    books = Bybit.books
    reloads_instruments = Bybit.reloads_instruments
    look_back_min = Bybit.look_back_min
    _streams = ""

    def data_client(self, markets: Sequence[str]) -> DataClient:
        """The adapter's, at the local address; everything is traded as a perpetual there."""
        return bybit.data_client(self.node, self.address, self.address_ws, perpetual=[True])

    def order_client(self, markets: Sequence[str], untraded: Collection[str] = ()) -> DataClient:
        """The adapter's, with made-up keys, at an address of this machine and nowhere else."""
        self.check_address()
        keys = self.credentials(markets)
        return bybit.order_client(self.node, keys, self.address, self.address_ws, perpetual=True)


_SPOKEN: Final[Mapping[str, type[Replay]]] = {Binance.name: Replay, Bybit.name: BybitReplay}


def replay_of(settings: Settings) -> Replay:
    """The local exchange, in the words of the settings' venue.

    Raises
    ------
    SettingsError
        If it does not speak that venue's protocol.
    """
    if settings.node.venue in _SPOKEN:
        return _SPOKEN[settings.node.venue](settings)
    raise SettingsError(
        f"the replay speaks Binance's and Bybit's protocols, not {settings.node.venue}'s",
        where="node.venue",
        remedy="set node.venue: binance or bybit, or node.environment: testnet",
    )


def require_loopback(address: str) -> None:
    """Refuse to rehearse orders anywhere but on this machine.

    Raises
    ------
    SettingsError
        If the address is of another one.
    """
    if is_loopback(address):
        return
    raise SettingsError(
        f"a rehearsal sends orders to this machine only, not to {address}",
        where="node.base_url_http",
        remedy="use an address such as http://127.0.0.1:8790, or set node.mode: paper",
    )


def _has(glance: Glance, market: str) -> bool:
    return glance.symbols is None or raw_symbol(market) in glance.symbols


class ReplayClock:
    """The local exchange's clock, asked for over HTTP.

    Parameters
    ----------
    address
        Of the local exchange.
    """

    remote = True

    def __init__(self, address: str) -> None:
        self._url = f"{address}/fapi/v1/time"

    def now(self) -> datetime | None:
        """The replayed time; None while the local exchange does not answer."""
        try:
            return datetime.fromtimestamp(_get(self._url, _GLANCE_S)["serverTime"] / 1000, UTC)
        except (OSError, ValueError, KeyError, TypeError):
            return None


class ProgressReports:
    """Tells the local exchange how far the node has come, in a thread of its own, so that it does not run ahead.

    Parameters
    ----------
    address
        Of the local exchange.
    heard
        The end of the newest bar that was dealt with; None before the first.
    ahead_ms
        How far it may be ahead.
    """

    def __init__(self, address: str, heard: Callable[[], datetime | None], ahead_ms: int = AHEAD_MS) -> None:
        place = urllib.parse.urlsplit(address)
        self._address = (place.hostname or "127.0.0.1", place.port or 80)
        self._heard = heard
        self._ahead_ms = ahead_ms
        self._every_s = min(_REPORT_S, _REPORT_S * ahead_ms / AHEAD_MS)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._report, name="replay-progress", daemon=True)

    def __enter__(self) -> ProgressReports:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _report(self) -> None:
        line: socket.socket | None = None
        told: datetime | None = None
        while not self._ended.wait(self._every_s):
            heard = self._heard()
            if heard is None or heard == told:
                continue
            try:
                line = line or socket.create_connection(self._address, timeout=_GLANCE_S)
                line.sendall(self._request(heard))
                if not line.recv(_MOST):
                    raise ConnectionError
                told = heard
            except OSError:  # it is gone, or in an outage
                if line is not None:
                    line.close()
                line = None
                self._ended.wait(_GLANCE_S)
        if line is not None:
            line.close()

    def _request(self, heard: datetime) -> bytes:
        """As text: a client's objects, and an answer that nobody reads, would take a decision's time from it."""
        until_ms = round(heard.timestamp() * 1000)
        return f"GET {HEARD}?ms={until_ms}&ahead_ms={self._ahead_ms} HTTP/1.1\r\nHost: replay\r\n\r\n".encode()


def _get(url: str, timeout_s: float) -> Any:
    with urllib.request.urlopen(url, timeout=timeout_s) as response:
        return json.load(response)
