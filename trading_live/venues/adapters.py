"""The venues' adapters: from the settings to the engine's client configurations. No network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from trading_assets.core.candles import Market
from trading_assets.core.errors import SettingsError
from trading_assets.settings import BacktestSettings, NodeSettings


@dataclass(frozen=True, slots=True)
class DataClient:
    """A market-data client for the node's builder: the adapter's factory and its configuration."""

    factory: Any
    config: Any


def data_client(settings: NodeSettings, markets: Sequence[str]) -> DataClient:
    """The market-data client of the chosen venue.

    Bars are public, so no key is needed; the adapters read one from their own environment variables where it is set.

    Parameters
    ----------
    settings
        Venue, environment and, for another address, base URLs.
    markets
        Whose product (spot or perpetual) decides what is loaded.

    Raises
    ------
    SettingsError
        If the venue has no such environment or cannot mix these products.
    """
    if settings.environment == "replay" and settings.venue != "binance":
        raise SettingsError(
            f"the replay speaks Binance's protocol, not {settings.venue}'s",
            where="node.venue",
            remedy="set node.venue: binance, or node.environment: testnet",
        )
    builders = {"binance": _binance, "bybit": _bybit, "okx": _okx, "kraken": _kraken}
    return builders[settings.venue](settings, markets)


def execution_client(
    settings: NodeSettings, costs: BacktestSettings, balances: Mapping[str, float], *, account: str
) -> DataClient:
    """The sandbox: orders are matched in the node against the venue's bars, with the backtest's fees and slippage."""
    from nautilus_trader.adapters.sandbox import SandboxExecutionClientConfig, SandboxExecutionClientFactory
    from nautilus_trader.execution import DefaultFillModel, MakerTakerFeeModel
    from nautilus_trader.model import AccountId, AccountType, Currency, Money, OmsType, Venue

    config = SandboxExecutionClientConfig(
        venue=Venue(settings.venue.upper()),
        account_id=AccountId(account),
        account_type=AccountType.MARGIN,
        oms_type=OmsType.NETTING,
        starting_balances=[Money(amount, Currency.from_str(code)) for code, amount in sorted(balances.items())],
        fee_model=MakerTakerFeeModel(_rate(costs.maker_fee_bps), _rate(costs.market_order_bps)),
        fill_model=DefaultFillModel(
            1.0 if costs.target_fill == "touch" else 0.0, costs.slippage_probability, costs.seed
        ),
        use_random_ids=True,
        trade_execution=False,
    )
    return DataClient(SandboxExecutionClientFactory(), config)


def quote_currencies(markets: Sequence[str]) -> list[str]:
    """The currencies in which the markets are settled."""
    return sorted({Market.parse(market).quote for market in markets})


def _rate(bps: float) -> Decimal:
    return Decimal(str(bps)) / 10_000


def _minutes(seconds: float) -> int:
    return max(round(seconds / 60), 1)


def _products(markets: Sequence[str]) -> set[bool]:
    return {Market.parse(market).is_perpetual for market in markets}


def _single_product(venue: str, markets: Sequence[str]) -> bool:
    products = _products(markets)
    if len(products) != 1:
        raise SettingsError(
            f"one {venue} client serves spot or perpetuals, not both: {', '.join(markets)}",
            where="models",
            remedy="run one node for each, with a data folder of its own",
        )
    return products.pop()


def _binance(settings: NodeSettings, markets: Sequence[str]) -> DataClient:
    from nautilus_trader.adapters.binance import (
        BinanceDataClientConfig,
        BinanceDataClientFactory,
        BinanceEnvironment,
        BinanceProductType,
        BinanceSpotMarketDataMode,
    )

    perpetual = _single_product("Binance", markets) or settings.environment == "replay"
    testnet = settings.environment == "testnet"
    config = BinanceDataClientConfig(
        product_type=BinanceProductType.USD_M if perpetual else BinanceProductType.SPOT,
        environment=BinanceEnvironment.TESTNET if testnet else BinanceEnvironment.LIVE,
        spot_market_data_mode=BinanceSpotMarketDataMode.Json,  # the binary feed wants a key
        base_url_http=settings.base_url_http,
        base_url_ws=settings.base_url_ws,
        instrument_refresh_interval_secs=max(round(settings.instrument_refresh_s), 1),
    )
    return DataClient(BinanceDataClientFactory(), config)


def _bybit(settings: NodeSettings, markets: Sequence[str]) -> DataClient:
    from nautilus_trader.adapters.bybit import (
        BybitDataClientConfig,
        BybitDataClientFactory,
        BybitEnvironment,
        BybitProductType,
    )

    products = [BybitProductType.LINEAR if one else BybitProductType.SPOT for one in sorted(_products(markets))]
    config = BybitDataClientConfig(
        product_types=products,
        environment=BybitEnvironment.TESTNET if settings.environment == "testnet" else BybitEnvironment.MAINNET,
        base_url_http=settings.base_url_http,
        base_url_ws_public=settings.base_url_ws,
        bars_timestamp_on_close=True,
        update_instruments_interval_mins=_minutes(settings.instrument_refresh_s),
    )
    return DataClient(BybitDataClientFactory(), config)


def _okx(settings: NodeSettings, markets: Sequence[str]) -> DataClient:
    from nautilus_trader.adapters.okx import (
        OKXDataClientConfig,
        OKXDataClientFactory,
        OKXEnvironment,
        OKXInstrumentType,
    )

    kinds = [OKXInstrumentType.SWAP if one else OKXInstrumentType.SPOT for one in sorted(_products(markets))]
    config = OKXDataClientConfig(
        instrument_types=kinds,
        environment=OKXEnvironment.DEMO if settings.environment == "testnet" else OKXEnvironment.LIVE,
        base_url_http=settings.base_url_http,
        base_url_ws_public=settings.base_url_ws,
        base_url_ws_business=settings.base_url_ws,
        update_instruments_interval_mins=_minutes(settings.instrument_refresh_s),
    )
    return DataClient(OKXDataClientFactory(), config)


def _kraken(settings: NodeSettings, markets: Sequence[str]) -> DataClient:
    from nautilus_trader.adapters.kraken import (
        KrakenDataClientConfig,
        KrakenDataClientFactory,
        KrakenEnvironment,
        KrakenProductType,
    )

    perpetual = _single_product("Kraken", markets)
    demo = settings.environment == "testnet"
    if demo and not perpetual:
        raise SettingsError(
            "Kraken has a demo for perpetuals only", where="node.environment", remedy="trade perpetuals, or set live"
        )
    config = KrakenDataClientConfig(
        product_type=KrakenProductType.FUTURES if perpetual else KrakenProductType.SPOT,
        environment=KrakenEnvironment.DEMO if demo else KrakenEnvironment.LIVE,
        base_url=settings.base_url_http,
        ws_public_url=settings.base_url_ws,
    )
    return DataClient(KrakenDataClientFactory(), config)
