"""Bybit: spot and linear perpetuals, in one client."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import ClassVar

from trading_assets.settings import NodeSettings
from trading_live.venues.account.keys import Credentials
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
    look_back_min = None

    def data_client(self, markets: Sequence[str]) -> DataClient:
        """The products that the markets need; of one only where its stream has another address."""
        node = self.node
        if node.base_url_ws is not None:
            single_product("Bybit", markets)
        return data_client(node, node.base_url_http, node.base_url_ws, perpetual=perpetual_or_spot(markets))

    def order_client(self, markets: Sequence[str], untraded: Collection[str] = ()) -> DataClient:
        """Linear perpetuals or spot."""
        node, keys = self.node, self.credentials(markets)
        perpetual = single_product("Bybit", markets)
        return order_client(node, keys, node.base_url_http, node.base_url_ws, perpetual=perpetual)


VENUE = Bybit


def data_client(node: NodeSettings, http: str | None, ws: str | None, *, perpetual: Collection[bool]) -> DataClient:
    """A client of Bybit's protocol at an address; None for Bybit's own."""
    from nautilus_trader.adapters.bybit import (
        BybitDataClientConfig,
        BybitDataClientFactory,
        BybitEnvironment,
        BybitProductType,
    )

    config = BybitDataClientConfig(
        product_types=[BybitProductType.LINEAR if one else BybitProductType.SPOT for one in sorted(perpetual)],
        environment=BybitEnvironment.TESTNET if node.environment == "testnet" else BybitEnvironment.MAINNET,
        base_url_http=http,
        base_url_ws_public=_stream(ws, "public/linear" if True in perpetual else "public/spot"),
        bars_timestamp_on_close=True,
        update_instruments_interval_mins=whole_minutes(node.instrument_refresh_s),
    )
    return DataClient(BybitDataClientFactory(), config)


def order_client(
    node: NodeSettings, keys: Credentials, http: str | None, ws: str | None, *, perpetual: bool
) -> DataClient:
    """A client of Bybit's orders at an address; None for Bybit's own."""
    from nautilus_trader.adapters.bybit import (
        BybitEnvironment,
        BybitExecutionClientConfig,
        BybitExecutionClientFactory,
        BybitProductType,
    )
    from nautilus_trader.model import AccountId

    config = BybitExecutionClientConfig(
        product_types=[BybitProductType.LINEAR if perpetual else BybitProductType.SPOT],
        environment=BybitEnvironment.TESTNET if node.environment == "testnet" else BybitEnvironment.MAINNET,
        api_key=keys.key,
        api_secret=keys.secret,
        base_url_http=http,
        base_url_ws_private=_stream(ws, "private"),
        base_url_ws_trade=_stream(ws, "trade"),
        account_id=AccountId("BYBIT-001"),
    )
    return DataClient(BybitExecutionClientFactory(), config)


def _stream(ws: str | None, path: str) -> str | None:
    """Where one of its streams is: each has a path of its own, which the address of the settings is without."""
    return None if ws is None else f"{ws.rstrip('/')}/v5/{path}"
