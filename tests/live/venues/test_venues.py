"""Venues as objects: names of instruments, adapters, what can be relied on; and the sandbox on each."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from nautilus_trader.common import LoggerConfig
from nautilus_trader.live import LiveNode
from nautilus_trader.model import TraderId

from trading_assets.core.errors import NodeError, SettingsError
from trading_assets.settings import NodeSettings, Settings
from trading_live.execution.registry import EXECUTIONS, execution_of
from trading_live.execution.sandbox import Sandbox
from trading_live.recovery.from_journal import Recovered
from trading_live.venues.contract import Glance, Venue
from trading_live.venues.registry import REPLAY, venue_class, venue_of

BTC, BTC_SPOT = "binance:BTC/USDT:USDT", "binance:BTC/USDT"
SPOKEN = ("binance", "bybit")
"""What the local exchange speaks."""
NAMES = get_args(NodeSettings.model_fields["venue"].annotation)


def venue(settings: Settings, **node: Any) -> Venue:
    """A venue of the settings with other settings of the node."""
    return venue_of(settings.model_copy(update={"node": NodeSettings.model_validate(node)}))


@pytest.mark.parametrize("name", [*NAMES, REPLAY])
def test_each_venue_of_the_settings_is_a_module_of_its_name(name: str) -> None:
    found = venue_class(name)
    assert found.name == name
    assert found.instruments
    assert found.books.levels >= 100, "as deep as books may be recorded"


def test_each_mode_of_the_settings_has_an_execution() -> None:
    assert set(EXECUTIONS) == {NodeSettings().mode} | set(get_args(NodeSettings.model_fields["mode"].annotation))


@pytest.mark.parametrize(
    ("name", "market", "expected"),
    [
        ("binance", "sample:SYNA/USDT:USDT", "SYNAUSDT-PERP.BINANCE"),
        ("binance", BTC, "BTCUSDT-PERP.BINANCE"),
        ("binance", BTC_SPOT, "BTCUSDT.BINANCE"),
        ("binance", "binance:BTC/USDT:USDT-260925", "BTCUSDT_260925.BINANCE"),
        ("bybit", BTC, "BTCUSDT-LINEAR.BYBIT"),
        ("bybit", BTC_SPOT, "BTCUSDT-SPOT.BYBIT"),
        ("okx", BTC, "BTC-USDT-SWAP.OKX"),
        ("okx", BTC_SPOT, "BTC-USDT.OKX"),
        ("kraken", "kraken:BTC/USD:USD", "PF_XBTUSD.KRAKEN"),
        ("kraken", "kraken:BTC/USD", "BTC/USD.KRAKEN"),
    ],
)
def test_a_market_is_traded_as_the_venues_instrument(settings: Settings, name: str, market: str, expected: str) -> None:
    assert venue(settings, venue=name, environment="live").instrument_id(market) == expected


def test_the_local_exchange_has_perpetuals_only_named_as_the_settings_venue_does(settings: Settings) -> None:
    names = {name: venue(settings, venue=name, environment="replay").instrument_id(BTC_SPOT) for name in SPOKEN}
    assert names == {"binance": "BTCUSDT-PERP.BINANCE", "bybit": "BTCUSDT-LINEAR.BYBIT"}


def test_a_product_that_the_venue_does_not_name_is_refused(settings: Settings) -> None:
    with pytest.raises(SettingsError, match="is a dated future; trade its spot market or perpetual"):
        venue(settings, venue="okx", environment="live").instrument_id("okx:BTC/USDT:USDT-260925")


@pytest.mark.parametrize(
    ("name", "environment", "market", "says"),
    [
        ("binance", "replay", "sample:SYNA/USDT:USDT", {"product_type": "USD_M", "environment": "LIVE"}),
        ("binance", "replay", BTC_SPOT, {"product_type": "USD_M", "environment": "LIVE"}),
        ("bybit", "replay", "sample:SYNA/USDT:USDT", {"product_types": "LINEAR", "environment": "MAINNET"}),
        ("bybit", "replay", BTC_SPOT, {"product_types": "LINEAR", "environment": "MAINNET"}),
        ("binance", "testnet", BTC, {"product_type": "USD_M", "environment": "TESTNET"}),
        ("binance", "live", BTC_SPOT, {"product_type": "SPOT", "environment": "LIVE"}),
        ("bybit", "testnet", "bybit:BTC/USDT:USDT", {"product_types": "LINEAR", "environment": "TESTNET"}),
        ("bybit", "live", "bybit:BTC/USDT", {"product_types": "SPOT", "environment": "MAINNET"}),
        ("okx", "testnet", "okx:BTC/USDT:USDT", {"instrument_types": "SWAP", "environment": "DEMO"}),
        ("okx", "live", "okx:BTC/USDT", {"instrument_types": "SPOT", "environment": "LIVE"}),
        ("kraken", "testnet", "kraken:BTC/USD:USD", {"product_type": "FUTURES", "environment": "DEMO"}),
        ("kraken", "live", "kraken:BTC/USD", {"product_type": "SPOT", "environment": "LIVE"}),
    ],
)
def test_the_settings_choose_venue_product_and_environment(
    settings: Settings, name: str, environment: str, market: str, says: dict[str, str]
) -> None:
    chosen = venue(settings, venue=name, environment=environment)
    client = chosen.data_client([market])
    for key, value in says.items():
        assert value in str(getattr(client.config, key)).upper()
    sandbox = execution_of(chosen.settings, chosen)
    builder = LiveNode.builder("TEST", TraderId("TRADER-001"), sandbox.environment)
    builder = builder.with_logging(LoggerConfig(bypass_logging=True)).add_data_client(
        None, client.factory, client.config
    )
    sandbox.join(builder, {market: chosen.instrument_id(market)}, Recovered()).build().dispose()  # type: ignore[dict-item]


def test_the_sandbox_takes_fees_and_balance_from_the_settings(settings: Settings) -> None:
    client = Sandbox(settings, venue(settings)).client({"USDT": 1_234.5})
    assert [str(balance) for balance in client.config.starting_balances] == ["1234.50000000 USDT"]
    assert client.config.fee_model is not None
    assert str(client.config.account_id) == "BINANCE-001"


@pytest.mark.parametrize(
    ("name", "environment", "markets", "says"),
    [
        ("okx", "replay", ["okx:BTC/USDT:USDT"], "the replay speaks Binance's and Bybit's protocols"),
        ("binance", "live", [BTC_SPOT, BTC], "spot or perpetuals, not both"),
        ("kraken", "testnet", ["kraken:BTC/USD"], "demo for perpetuals only"),
    ],
)
def test_a_venue_that_cannot_do_it_is_named(
    settings: Settings, name: str, environment: str, markets: list[str], says: str
) -> None:
    with pytest.raises(SettingsError, match=says):
        venue(settings, venue=name, environment=environment).data_client(markets)


def test_beside_what_it_needs_a_node_listens_to_the_venues_markets_of_the_same_product(settings: Settings) -> None:
    wanted = [BTC, BTC_SPOT, "okx:ETH/USDT:USDT"]
    live = venue(settings, venue="binance", environment="live")
    assert live.also(wanted, ["binance:ETH/USDT:USDT"], Glance()) == {BTC}
    live.require(["okx:X/USDT"], Glance())  # only the engine will know
    replay = venue(settings)
    assert replay.also(wanted, [], Glance(symbols=frozenset({"ETHUSDT"}))) == {"okx:ETH/USDT:USDT"}
    with pytest.raises(NodeError, match=r"the replay does not have binance:BTC/USDT:USDT.*--market"):
        replay.require([BTC], Glance(symbols=frozenset()))
