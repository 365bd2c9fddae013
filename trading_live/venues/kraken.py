"""Kraken: spot, or perpetuals on Kraken Futures."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import ClassVar

from trading_assets.core.candles import Market
from trading_assets.core.errors import SettingsError
from trading_live.venues.contract import Books, DataClient, Product, Venue, single_product


class Kraken(Venue):
    """Kraken."""

    name = "kraken"
    instruments: ClassVar[dict[Product, str]] = {
        "spot": "{base}/{quote}.KRAKEN",
        "perpetual": "PF_{base}{quote}.KRAKEN",
    }
    timeframes = ("1m", "5m", "15m", "30m", "1h", "4h", "1d")
    books = Books(levels=100)
    streams_balances = False

    def base_code(self, market: Market) -> str:
        """Its perpetuals call bitcoin XBT."""
        return "XBT" if market.is_perpetual and market.base == "BTC" else market.base

    def timeframes_of(self, market: str) -> tuple[str, ...]:
        """The adapter of its futures streams no bars."""
        return () if Market.parse(market).is_derivative else self.timeframes

    def data_client(self, markets: Sequence[str]) -> DataClient:
        """Spot or futures; only these have a demo."""
        from nautilus_trader.adapters.kraken import (
            KrakenDataClientConfig,
            KrakenDataClientFactory,
            KrakenEnvironment,
            KrakenProductType,
        )

        node, perpetual = self.node, single_product("Kraken", markets)
        demo = node.environment == "testnet"
        if demo and not perpetual:
            raise SettingsError(
                "Kraken has a demo for perpetuals only",
                where="node.environment",
                remedy="set live; mode shadow or paper sends no orders",
            )
        config = KrakenDataClientConfig(
            product_type=KrakenProductType.FUTURES if perpetual else KrakenProductType.SPOT,
            environment=KrakenEnvironment.DEMO if demo else KrakenEnvironment.LIVE,
            base_url=node.base_url_http,
            ws_public_url=node.base_url_ws,
        )
        return DataClient(KrakenDataClientFactory(), config)

    def order_client(self, markets: Sequence[str], untraded: Collection[str] = ()) -> DataClient:
        """Futures or spot."""
        from nautilus_trader.adapters.kraken import (
            KrakenEnvironment,
            KrakenExecutionClientConfig,
            KrakenExecutionClientFactory,
            KrakenProductType,
        )
        from nautilus_trader.model import AccountId

        node, keys = self.node, self.credentials(markets)
        perpetual = single_product("Kraken", markets)
        config = KrakenExecutionClientConfig(
            account_id=AccountId("KRAKEN-001"),
            api_key=keys.key,
            api_secret=keys.secret,
            product_type=KrakenProductType.FUTURES if perpetual else KrakenProductType.SPOT,
            environment=KrakenEnvironment.DEMO if node.environment == "testnet" else KrakenEnvironment.LIVE,
            base_url=node.base_url_http,
            ws_url=node.base_url_ws,
        )
        return DataClient(KrakenExecutionClientFactory(), config)


VENUE = Kraken
