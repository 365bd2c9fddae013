"""The real clients of the local exchange's account: ccxt's, with its keys and at its address."""

from __future__ import annotations

from typing import Any

import ccxt

from trading_assets.sources.transport.ccxt_client import _moved
from trading_live.replay import ReplayServer
from trading_live.replay.orders.keys import REHEARSAL_KEY, REHEARSAL_SECRET

SYNA = "SYNA/USDT:USDT"


def client(server: ReplayServer, **more: Any) -> Any:
    """Ccxt's ``binanceusdm`` with the account's keys."""
    found = ccxt.binanceusdm(
        {"apiKey": REHEARSAL_KEY, "secret": REHEARSAL_SECRET, "enableRateLimit": False, "timeout": 60_000} | more
    )
    found.has["fetchCurrencies"] = False
    found.options["fetchCurrencies"] = False
    found.options["fetchMarkets"] = {"types": ["linear"]}
    found.urls["api"] = _moved(found.urls["api"], server.url_http)
    found.load_markets()
    return found
