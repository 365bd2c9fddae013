"""Funding payments of a venue's perpetuals over REST, through the requests of the ingest; no key is needed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, Final

import polars as pl

from trading_assets.core.candles import EPOCH
from trading_assets.settings import CcxtSource, Settings
from trading_assets.sources.funding.exchange import ExchangeFunding
from trading_assets.strategies.plans.funding_exit import FundingDue
from trading_live.venues.account.open import REPLAY, ccxt_exchange

_TIMEOUT_S: Final = 5.0


class RestFunding:
    """What the node's venue tells of funding; on its testnet the venue's own history, which the tables have too.

    Parameters
    ----------
    settings
        Venue, environment and address.
    """

    def __init__(self, settings: Settings) -> None:
        node, address = settings.node, None
        if node.environment == REPLAY:
            address = node.base_url_http or f"http://{settings.replay.host}:{settings.replay.port}"
        elif node.environment == "live":
            address = node.base_url_http
        self._source = ExchangeFunding.from_settings(
            CcxtSource(
                exchange=ccxt_exchange(node.venue, "perpetual"),
                base_url=address,
                max_attempts=2,
                first_wait_s=0.5,
                timeout_s=_TIMEOUT_S,
                rate_limit=node.environment != REPLAY,
            )
        )

    def fetch(self, market: str, start: datetime, end: datetime) -> Iterator[pl.DataFrame]:
        """Pages of the payments settled in [start, end)."""
        return self._source.fetch(market, start, end)

    def announced(self, market: str) -> FundingDue | None:
        """The next payment, as the venue expects it now; None where it does not say."""

        def ask(client: Any, symbol: str) -> FundingDue | None:
            if not client.has.get("fetchFundingRate"):
                return None
            said = client.fetch_funding_rate(symbol)
            at_ms, rate = said.get("fundingTimestamp"), said.get("fundingRate")
            if not at_ms or rate is None:
                return None
            return FundingDue(EPOCH + timedelta(milliseconds=at_ms), float(rate))

        return self._source.exchange.ask(market, ask)
