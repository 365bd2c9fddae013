"""A look at the local exchange before the node starts: is it there, what time is it there, what does it have."""

from __future__ import annotations

import http.client
import json
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from trading_assets.core.errors import NodeError
from trading_assets.settings import Settings
from trading_assets.strategies.instruments import raw_symbol
from trading_live.replay.pace import HEARD

_GLANCE_S: Final = 0.5
_REPORT_S: Final = 0.02


@dataclass(frozen=True)
class VenueView:
    """What the local exchange says: its replayed clock and its symbols."""

    now: datetime
    symbols: frozenset[str]

    def has(self, market: str) -> bool:
        """Whether a market is replayed."""
        return raw_symbol(market) in self.symbols


def look_at_replay(settings: Settings, *, timeout_s: float = 5.0) -> VenueView:
    """Ask the local exchange that the settings name.

    Raises
    ------
    NodeError
        If it does not answer.
    """
    address = replay_http(settings)
    try:
        clock = _get(f"{address}/fapi/v1/time", timeout_s)
        info = _get(f"{address}/fapi/v1/exchangeInfo", timeout_s)
        symbols = frozenset(str(one["symbol"]) for one in info["symbols"])
        return VenueView(datetime.fromtimestamp(clock["serverTime"] / 1000, UTC), symbols)
    except (urllib.error.URLError, OSError, ValueError, KeyError, TypeError) as error:
        reason = getattr(error, "reason", error)
        raise NodeError(
            f"the local exchange does not answer: {reason}",
            where=address,
            remedy="start trading replay first, or set node.environment to testnet or live",
        ) from None


class WallClock:
    """The clock of this machine: what a venue's bars are compared with."""

    remote = False

    def now(self) -> datetime:
        """UTC."""
        return datetime.now(UTC)


class ReplayClock:
    """The local exchange's clock, asked for over HTTP.

    Parameters
    ----------
    settings
        Name the local exchange.
    """

    remote = True

    def __init__(self, settings: Settings) -> None:
        self._url = f"{replay_http(settings)}/fapi/v1/time"

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
    settings
        Name the local exchange.
    heard
        The end of the newest bar that was dealt with; None before the first.
    """

    def __init__(self, settings: Settings, heard: Callable[[], datetime | None]) -> None:
        self._address = urllib.parse.urlsplit(replay_http(settings)).netloc
        self._heard = heard
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._report, name="replay-progress", daemon=True)

    def __enter__(self) -> ProgressReports:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _report(self) -> None:
        connection = http.client.HTTPConnection(self._address, timeout=_GLANCE_S)
        told: datetime | None = None
        while not self._ended.wait(_REPORT_S):
            heard = self._heard()
            if heard is None or heard == told:
                continue
            try:
                connection.request("GET", f"{HEARD}?ms={round(heard.timestamp() * 1000)}")
                connection.getresponse().read()
                told = heard
            except (OSError, http.client.HTTPException):  # it is gone, or in an outage
                connection.close()
                self._ended.wait(_GLANCE_S)
        connection.close()


def replay_http(settings: Settings) -> str:
    """The local exchange's REST address."""
    return settings.node.base_url_http or f"http://{settings.replay.host}:{settings.replay.port}"


def replay_ws(settings: Settings) -> str:
    """The local exchange's websocket address."""
    return settings.node.base_url_ws or f"ws://{settings.replay.host}:{settings.replay.port}/ws"


def _get(url: str, timeout_s: float) -> Any:
    with urllib.request.urlopen(url, timeout=timeout_s) as response:
        return json.load(response)
