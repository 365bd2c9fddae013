"""Bybit: spot and linear perpetuals, in one client."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import ClassVar

from trading_live.venues.contract import (
    Books,
    DataClient,
    Product,
    Venue,
    perpetual_or_spot,
    single_product,
    whole_minutes,
)


class Bybit(Venue):
    """Bybit."""

    name = "bybit"
    instruments: ClassVar[dict[Product, str]] = {
        "spot": "{base}{quote}-SPOT.BYBIT",
        "perpetual": "{base}{quote}-LINEAR.BYBIT",
    }
    timeframes = ("1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "12h", "1d")
    books = Books(levels=200)

    def data_client(self, markets: Sequence[str]) -> DataClient:
        """The products that the markets need."""
        from nautilus_trader.adapters.bybit import (
            BybitDataClientConfig,
            BybitDataClientFactory,
            BybitEnvironment,
            BybitProductType,
        )

        node, kinds = self.node, sorted(perpetual_or_spot(markets))
        config = BybitDataClientConfig(
            product_types=[BybitProductType.LINEAR if one else BybitProductType.SPOT for one in kinds],
            environment=BybitEnvironment.TESTNET if node.environment == "testnet" else BybitEnvironment.MAINNET,
            base_url_http=node.base_url_http,
            base_url_ws_public=node.base_url_ws,
            bars_timestamp_on_close=True,
            update_instruments_interval_mins=whole_minutes(node.instrument_refresh_s),
        )
        return DataClient(BybitDataClientFactory(), config)

    def order_client(self, markets: Sequence[str], untraded: Collection[str] = ()) -> DataClient:
        """Linear perpetuals or spot."""
        from nautilus_trader.adapters.bybit import (
            BybitEnvironment,
            BybitExecutionClientConfig,
            BybitExecutionClientFactory,
            BybitProductType,
        )
        from nautilus_trader.model import AccountId

        node, keys = self.node, self.credentials(markets)
        perpetual = single_product("Bybit", markets)
        config = BybitExecutionClientConfig(
            product_types=[BybitProductType.LINEAR if perpetual else BybitProductType.SPOT],
            environment=BybitEnvironment.TESTNET if node.environment == "testnet" else BybitEnvironment.MAINNET,
            api_key=keys.key,
            api_secret=keys.secret,
            base_url_http=node.base_url_http,
            base_url_ws_private=node.base_url_ws,
            base_url_ws_trade=node.base_url_ws,
            account_id=AccountId("BYBIT-001"),
        )
        return DataClient(BybitExecutionClientFactory(), config)


VENUE = Bybit
