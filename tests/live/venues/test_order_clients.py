"""Each venue's execution client is made of the settings and the environment's keys; nothing connects."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import pytest
from nautilus_trader.common import Environment, LoggerConfig
from nautilus_trader.live import LiveNode
from nautilus_trader.model import InstrumentId, TraderId

from trading_assets.core.errors import NodeError, SettingsError
from trading_assets.settings import NodeSettings, Settings
from trading_live.execution.at_venue import AtVenue, execution_checks
from trading_live.execution.registry import EXECUTIONS, execution_of
from trading_live.execution.sandbox import Sandbox
from trading_live.recovery.from_journal import Recovered
from trading_live.venues.account.keys import credential_names
from trading_live.venues.contract import Venue
from trading_live.venues.registry import venue_of

CASES = [
    ("binance", "testnet", "binance:BTC/USDT:USDT", {"product_type": "USD_M", "environment": "TESTNET"}),
    ("binance", "live", "binance:BTC/USDT", {"product_type": "SPOT", "environment": "LIVE"}),
    ("bybit", "testnet", "bybit:BTC/USDT:USDT", {"product_types": "LINEAR", "environment": "TESTNET"}),
    ("bybit", "live", "bybit:BTC/USDT", {"product_types": "SPOT", "environment": "MAINNET"}),
    (
        "okx",
        "testnet",
        "okx:BTC/USDT:USDT",
        {"instrument_types": "SWAP", "environment": "DEMO", "margin_mode": "CROSS"},
    ),
    ("okx", "live", "okx:BTC/USDT", {"instrument_types": "SPOT", "environment": "LIVE"}),
    ("kraken", "testnet", "kraken:BTC/USD:USD", {"product_type": "FUTURES", "environment": "DEMO"}),
    ("kraken", "live", "kraken:BTC/USD", {"product_type": "SPOT", "environment": "LIVE"}),
]


def venue(settings: Settings, **node: Any) -> Venue:
    """A venue with orders."""
    return venue_of(settings.model_copy(update={"node": NodeSettings.model_validate({"mode": "live", **node})}))


@pytest.mark.parametrize(("name", "environment", "market", "says"), CASES)
def test_orders_go_through_the_venues_own_client(
    settings: Settings,
    name: str,
    environment: str,
    market: str,
    says: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spot = ":" not in market.partition(":")[2]
    for variable in credential_names(name, "spot" if spot else "perpetual", environment):
        monkeypatch.setenv(variable, "bWFkZS11cC1hbmQtbm90aGluZy1tb3Jl")
    chosen = venue(settings, venue=name, environment=environment)
    client = chosen.order_client([market])
    for key, value in says.items():
        assert value in str(getattr(client.config, key)).upper()
    assert "bWFkZS11cC" not in repr(client.config), "keys are not shown"
    matching = chosen.matching([market])
    assert (matching.filled_by, matching.simulated, matching.binds, matching.reduces) == ("live", False, spot, not spot)
    assert matching.takes_passed_stops is (name == "okx")
    execution = execution_of(chosen.settings, chosen)
    assert isinstance(execution, AtVenue)
    builder = LiveNode.builder("TEST", TraderId("TRADER-001"), execution.environment)
    data = chosen.data_client([market])
    builder = builder.with_logging(LoggerConfig(bypass_logging=True)).add_data_client(None, data.factory, data.config)
    ids = {market: InstrumentId.from_str(chosen.instrument_id(market))}
    execution.join(builder, ids, Recovered()).build().dispose()


@pytest.mark.parametrize("environment", ["replay", "live"])
def test_at_another_address_each_of_bybits_streams_has_its_own_path(
    settings: Settings, environment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in credential_names("bybit", "perpetual", "live"):
        monkeypatch.setenv(variable, "made-up")
    moved = venue(settings, venue="bybit", environment=environment, base_url_ws="ws://127.0.0.1:1/")
    data, orders = (client(["bybit:BTC/USDT:USDT"]).config for client in (moved.data_client, moved.order_client))
    assert data.base_url_ws_public == "ws://127.0.0.1:1/v5/public/linear"
    assert orders.base_url_ws_private == "ws://127.0.0.1:1/v5/private"
    assert orders.base_url_ws_trade == "ws://127.0.0.1:1/v5/trade"


def test_without_keys_nothing_is_built(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("BYBIT_TESTNET_API_KEY", "BYBIT_TESTNET_API_SECRET"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(NodeError, match="BYBIT_TESTNET_API_KEY and BYBIT_TESTNET_API_SECRET"):
        venue(settings, venue="bybit", environment="testnet").order_client(["bybit:BTC/USDT:USDT"])


def test_a_node_with_orders_trades_spot_or_perpetuals(settings: Settings) -> None:
    with pytest.raises(SettingsError, match="spot or perpetuals, not both"):
        venue(settings, venue="okx", environment="live").matching(["okx:BTC/USDT:USDT", "okx:BTC/USDT"])


def test_a_venue_without_an_adapter_for_orders_is_for_data_only(settings: Settings) -> None:
    class Bitget(Venue):
        name = "bitget"
        instruments: ClassVar[dict[Any, str]] = {}
        timeframes = ()

        def data_client(self, markets: Any) -> Any:
            raise NotImplementedError

    with pytest.raises(SettingsError, match="bitget is for data only: no adapter sends orders to it"):
        Bitget(settings).order_client(["bitget:BTC/USDT:USDT"])


def test_every_check_of_the_engine_is_on() -> None:
    checks = execution_checks([InstrumentId.from_str("BTCUSDT-PERP.BINANCE")])
    assert checks.reconciliation
    assert checks.reconciliation_instrument_ids == ["BTCUSDT-PERP.BINANCE"]
    for check in ("open_check_interval_secs", "position_check_interval_secs", "inflight_check_interval_ms"):
        assert getattr(checks, check), check
    assert checks.open_check_open_only, "asked for all, Binance names none, and what rests would be taken as refused"


def test_shadow_sends_nothing_and_says_so_of_its_fills(settings: Settings, tmp_path: Path) -> None:
    shadow = execution_of(
        settings.model_copy(update={"node": NodeSettings(mode="shadow", environment="live")}), venue(settings)
    )
    assert isinstance(shadow, Sandbox)
    assert shadow.environment is Environment.SANDBOX
    matching = shadow.matching(["binance:BTC/USDT:USDT"])
    assert (matching.filled_by, matching.simulated) == ("shadow", True)
    assert shadow.recover(tmp_path / "none.sqlite") == Recovered(realized={})
    assert set(EXECUTIONS) == {"paper", "shadow", "live"}


def test_the_journals_place_tells_modes_apart(settings: Settings) -> None:
    assert venue(settings, environment="testnet").place == "binance testnet, live main"
    assert venue(settings, environment="testnet", mode="shadow").place == "binance testnet, shadow"
    assert venue(settings, environment="testnet", mode="paper").place == "binance testnet"
