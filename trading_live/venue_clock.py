"""A look at the local exchange before the node starts: is it there, what time is it there, what does it have."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from trading_assets.errors import NodeError
from trading_assets.settings import Settings
from trading_assets.strategies.instruments import raw_symbol

_GLANCE_S: Final = 0.5


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


def replay_http(settings: Settings) -> str:
    """The local exchange's REST address."""
    return settings.node.base_url_http or f"http://{settings.replay.host}:{settings.replay.port}"


def replay_ws(settings: Settings) -> str:
    """The local exchange's websocket address."""
    return settings.node.base_url_ws or f"ws://{settings.replay.host}:{settings.replay.port}/ws"


def _get(url: str, timeout_s: float) -> Any:
    with urllib.request.urlopen(url, timeout=timeout_s) as response:
        return json.load(response)
