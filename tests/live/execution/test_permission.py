"""What real money needs before an order is sent; each lack is named with its remedy."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime
from typing import Any

import pytest

from trading_assets.core.errors import NodeError, TradingError
from trading_assets.journal import JOURNAL_FILE, NODE, Journal
from trading_assets.settings import NodeSettings, Settings
from trading_live.execution.permission import (
    described,
    missing,
    require_nothing_left,
    require_permission,
    start_command,
    untested,
)
from trading_live.venues.address import is_loopback

KEYS = ("BINANCE_API_KEY", "BINANCE_API_SECRET")
MARKET = "binance:BTC/USDT:USDT"


def of(settings: Settings, **node: Any) -> Settings:
    """Settings with one model on a perpetual of Binance."""
    (name, model), *_ = settings.models.items()
    market = next(iter(settings.markets.values()))
    changed = model.model_copy(update={"markets": [MARKET]})
    return settings.model_copy(
        update={
            "node": NodeSettings.model_validate(node),
            "models": {name: changed},
            "markets": {MARKET: market},
        }
    )


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in KEYS:
        monkeypatch.setenv(name, f"a-made-up-{name.lower()}")


def test_paper_and_shadow_need_nothing(settings: Settings) -> None:
    for mode in ("paper", "shadow"):
        require_permission(of(settings, mode=mode, environment="live"), None)


@pytest.mark.usefixtures("keys")
def test_real_money_needs_the_account_by_name(settings: Settings) -> None:
    live = of(settings, mode="live", environment="live", account="small")
    with pytest.raises(NodeError, match=r"'small' were not accepted.*trading live --i-accept-real-orders small"):
        require_permission(live, None)
    with pytest.raises(NodeError, match="accepted for the account 'main', and the settings trade 'small'"):
        require_permission(live, "main")
    require_permission(live, "small")


def test_a_missing_key_is_named_and_none_is_shown(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in KEYS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(KEYS[0], "made-up-and-hidden")
    live = of(settings, mode="live", environment="live")
    with pytest.raises(NodeError, match=KEYS[1]) as refused:
        require_permission(live, "main")
    assert "made-up-and-hidden" not in str(refused.value)
    assert KEYS[1] in (missing(live) or "")


def test_a_rehearsal_stays_on_this_machine(settings: Settings) -> None:
    pytest.importorskip("trading_live.replay.orders.keys")
    for address in ("http://127.0.0.1:8790", "http://localhost:1", "http://[::1]:8790"):
        require_permission(of(settings, mode="live", base_url_http=address), None)
    for address in ("http://10.0.0.7:8790", "https://fapi.binance.com", "http://replay.example"):
        with pytest.raises(TradingError, match="a rehearsal sends orders to this machine only"):
            require_permission(of(settings, mode="live", base_url_http=address), None)
    with pytest.raises(TradingError, match="this machine only"):
        require_permission(of(settings, mode="live", base_url_ws="wss://fstream.binance.com/ws"), None)


AMBIGUOUS = (
    "http://127.0.0.1.example.org",
    "http://0.0.0.0:8790",
    "http://127.0.0.1:8790@example.org",
    "http://example.org\\@127.0.0.1:8790",
    "http://127.0.0.1:8790\\@example.org",
    "http://localhost.example.org",
    "http://example.org#@127.0.0.1",
    "127.0.0.1:8790",
    "http://[::ffff:10.0.0.7]:8790",
    "http://127.0.0.1:8790 .example.org",
    "",
)


@pytest.mark.parametrize("address", AMBIGUOUS)
def test_an_address_that_one_reader_may_take_for_another_machines_is_none_of_this_one(
    settings: Settings, address: str
) -> None:
    assert not is_loopback(address)
    if address:
        without = of(settings, mode="live", base_url_http=address).model_copy(update={"models": {}})
        with pytest.raises(TradingError, match="this machine only"):
            require_permission(without, None)


def test_a_testnet_at_another_address_may_be_real_money(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("BINANCE_FUTURES_TESTNET_API_KEY", "BINANCE_FUTURES_TESTNET_API_SECRET"):
        monkeypatch.setenv(name, "a-made-up-key")
    require_permission(of(settings, mode="live", environment="testnet"), None)
    require_permission(of(settings, mode="live", environment="testnet", base_url_http="http://127.0.0.1:1"), None)
    for moved in ({"base_url_http": "https://fapi.binance.com"}, {"base_url_ws": "wss://fstream.binance.com"}):
        real = of(settings, mode="live", environment="testnet", **moved)
        with pytest.raises(NodeError, match=r"no testnet's own: .*were not accepted.*--i-accept-real-orders main"):
            require_permission(real, None)
        require_permission(real, "main")
        assert "REAL MONEY" in described(real)
        assert start_command(real) == "trading live --i-accept-real-orders main"


def test_a_model_without_a_fill_on_the_testnet_is_named(settings: Settings) -> None:
    live = of(settings, mode="live", environment="live")
    assert untested(live, [("m", 3)]) == ["m-v3"]
    now = datetime(2025, 5, 20, tzinfo=UTC)
    fill = {"ts": now, "market": MARKET, "side": "buy", "quantity": 1.0, "price": 1.0, "fee": 0.0}
    with closing(Journal(live.live_dir / JOURNAL_FILE, "n")) as journal:

        def filled(place: str, version: int, by: str) -> None:
            journal.record(NODE, {"ts": now, "event": "started", "detail": place})
            signal = f"m-v{version}-{MARKET}-20250520T0000"
            told = {"signal_id": signal, "order_id": place + by, "trade_id": f"{version}", "filled_by": by}
            journal.record("fills", fill | told)

        filled("binance testnet", 1, "paper")
        filled("binance replay, live main", 2, "live")
        filled("binance testnet, live main", 3, "live")
    assert untested(live, [("m", 1), ("m", 2), ("m", 3), ("other", 3)]) == ["m-v1", "m-v2", "other-v3"]
    assert untested(of(settings, mode="live", environment="testnet"), [("m", 1)]) == []


def test_trades_of_real_money_are_not_left_behind_by_a_node_of_another_place() -> None:
    real = "binance live, live main"
    for place in ("binance live", "binance replay, live main", "binance live, live other", "okx live, live main"):
        with pytest.raises(NodeError, match=f"open trades of {real}: {MARKET}.*--close-only.*a data_dir of its own"):
            require_nothing_left(real, place, [MARKET])
    require_nothing_left(real, real, [MARKET])
    require_nothing_left(real, "binance replay, live main", [])
    require_nothing_left("binance replay, live main", real, [MARKET])
    require_nothing_left("binance live", real, [MARKET])
    require_nothing_left(None, real, [])


def test_the_mode_is_told_in_a_sentence(settings: Settings) -> None:
    assert "REAL MONEY" in described(of(settings, mode="live", environment="live"))
    assert "made-up keys" in described(of(settings, mode="live"))
    assert "nothing is sent" in described(of(settings, mode="shadow", environment="live"))
    assert described(of(settings)).startswith("paper on binance (replay)")
    real = of(settings, mode="live", environment="live", account="small")
    assert start_command(real, "--close-only") == "trading live --close-only --i-accept-real-orders small"
    assert start_command(of(settings, mode="live")) == "trading live"
    assert start_command(of(settings)) == "trading paper"


def test_bitget_is_said_to_be_for_data_only() -> None:
    with pytest.raises(ValueError, match="bitget is for data only: no adapter trades there; use binance, bybit"):
        NodeSettings.model_validate({"venue": "bitget"})
