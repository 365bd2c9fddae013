"""Binance: spot, or perpetuals settled in the quote currency."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import ClassVar

from trading_assets.settings import NodeSettings
from trading_live.venues.account.keys import Credentials
from trading_live.venues.contract import Books, DataClient, Product, Venue, single_product


class Binance(Venue):
    """Binance."""

    name = "binance"
    instruments: ClassVar[dict[Product, str]] = {
        "spot": "{base}{quote}.BINANCE",
        "perpetual": "{base}{quote}-PERP.BINANCE",
        "dated": "{base}{quote}_{expiry}.BINANCE",
    }
    timeframes = ("1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d")
    books = Books(levels=1000, numbered_trades=True)
    reloads_instruments = True  # proven on the local exchange

    def data_client(self, markets: Sequence[str]) -> DataClient:
        """Spot or USD-M."""
        node = self.node
        return data_client(node, node.base_url_http, node.base_url_ws, perpetual=single_product("Binance", markets))

    def order_client(self, markets: Sequence[str], untraded: Collection[str] = ()) -> DataClient:
        """Spot or USD-M."""
        node, keys = self.node, self.credentials(markets)
        perpetual = single_product("Binance", markets)
        known = [self.instrument_id(market) for market in markets if market not in untraded]
        return order_client(node, keys, node.base_url_http, node.base_url_ws, perpetual=perpetual, known=known)


VENUE = Binance


def data_client(node: NodeSettings, http: str | None, ws: str | None, *, perpetual: bool) -> DataClient:
    """A client of Binance's protocol at an address; None for Binance's own."""
    from nautilus_trader.adapters.binance import (
        BinanceDataClientConfig,
        BinanceDataClientFactory,
        BinanceEnvironment,
        BinanceProductType,
        BinanceSpotMarketDataMode,
    )

    config = BinanceDataClientConfig(
        product_type=BinanceProductType.USD_M if perpetual else BinanceProductType.SPOT,
        environment=BinanceEnvironment.TESTNET if node.environment == "testnet" else BinanceEnvironment.LIVE,
        spot_market_data_mode=BinanceSpotMarketDataMode.Json,  # the binary feed wants a key
        base_url_http=http,
        base_url_ws=ws,
        instrument_refresh_interval_secs=max(round(node.instrument_refresh_s), 1),
    )
    return DataClient(BinanceDataClientFactory(), config)


def order_client(
    node: NodeSettings, keys: Credentials, http: str | None, ws: str | None, *, perpetual: bool, known: Sequence[str]
) -> DataClient:
    """A client of Binance's orders at an address; None for Binance's own.

    Orders go by REST: the websocket for orders has an address of its own, and stops do not go through it. It is told of
    the ``known`` instruments alone: its adapter loads none that does not trade, and an engine does not start where the
    account holds something on one that is neither loaded nor left out.
    """
    from nautilus_trader.adapters.binance import (
        BinanceEnvironment,
        BinanceExecutionClientConfig,
        BinanceExecutionClientFactory,
        BinanceInstrumentProviderConfig,
        BinanceProductType,
    )
    from nautilus_trader.model import AccountId

    config = BinanceExecutionClientConfig(
        account_id=AccountId("BINANCE-001"),
        product_type=BinanceProductType.USD_M if perpetual else BinanceProductType.SPOT,
        environment=BinanceEnvironment.TESTNET if node.environment == "testnet" else BinanceEnvironment.LIVE,
        base_url_http=http,
        base_url_ws=ws,
        use_ws_trading=False,
        use_position_ids=False,
        instrument_provider=BinanceInstrumentProviderConfig(load_all=False, load_ids=known),
        api_key=keys.key,
        api_secret=keys.secret,
    )
    return DataClient(BinanceExecutionClientFactory(), config)
