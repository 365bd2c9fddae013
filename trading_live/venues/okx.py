"""OKX: spot and swaps, in one client."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import ClassVar

from trading_assets.strategies.orders.matching import Matching
from trading_live.venues.contract import (
    Books,
    DataClient,
    Product,
    Venue,
    perpetual_or_spot,
    single_product,
    whole_minutes,
)


class Okx(Venue):
    """OKX."""

    name = "okx"
    instruments: ClassVar[dict[Product, str]] = {
        "spot": "{base}-{quote}.OKX",
        "perpetual": "{base}-{quote}-SWAP.OKX",
    }
    timeframes = ("1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h")  # longer ones begin at 16:00 UTC
    books = Books(levels=400)
    look_back_min = None

    def data_client(self, markets: Sequence[str]) -> DataClient:
        """The products that the markets need; its testnet is the demo environment."""
        from nautilus_trader.adapters.okx import (
            OKXDataClientConfig,
            OKXDataClientFactory,
            OKXEnvironment,
            OKXInstrumentType,
        )

        node, kinds = self.node, sorted(perpetual_or_spot(markets))
        config = OKXDataClientConfig(
            instrument_types=[OKXInstrumentType.SWAP if one else OKXInstrumentType.SPOT for one in kinds],
            environment=OKXEnvironment.DEMO if node.environment == "testnet" else OKXEnvironment.LIVE,
            base_url_http=node.base_url_http,
            base_url_ws_public=node.base_url_ws,
            base_url_ws_business=node.base_url_ws,
            update_instruments_interval_mins=whole_minutes(node.instrument_refresh_s),
        )
        return DataClient(OKXDataClientFactory(), config)

    def order_client(self, markets: Sequence[str], untraded: Collection[str] = ()) -> DataClient:
        """Swaps or spot; its keys are of the demo environment or of the live one by where they were made."""
        from nautilus_trader.adapters.okx import (
            OKXEnvironment,
            OKXExecutionClientConfig,
            OKXExecutionClientFactory,
            OKXInstrumentType,
            OKXMarginMode,
        )
        from nautilus_trader.model import AccountId

        node, keys = self.node, self.credentials(markets)
        perpetual = single_product("OKX", markets)
        margin = OKXMarginMode.ISOLATED if node.margin_mode == "isolated" else OKXMarginMode.CROSS
        config = OKXExecutionClientConfig(
            account_id=AccountId("OKX-001"),
            instrument_types=[OKXInstrumentType.SWAP if perpetual else OKXInstrumentType.SPOT],
            environment=OKXEnvironment.DEMO if node.environment == "testnet" else OKXEnvironment.LIVE,
            api_key=keys.key,
            api_secret=keys.secret,
            api_passphrase=keys.passphrase,
            base_url_http=node.base_url_http,
            base_url_ws_private=node.base_url_ws,
            base_url_ws_business=node.base_url_ws,
            margin_mode=margin if perpetual else None,
        )
        return DataClient(OKXExecutionClientFactory(), config)

    def matching(self, markets: Sequence[str]) -> Matching:
        """The adapter's stops are trigger orders: they wait for the price to come to them, from whichever side."""
        return replace(super().matching(markets), takes_passed_stops=True)


VENUE = Okx
