"""The demo: what is not promoted is told, and it closes with one trade from its plan to its net profit."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import polars as pl
import pytest
from rich.console import Console

from trading_assets.core.errors import TradingError
from trading_assets.core.sides import Side
from trading_assets.exits.plan import ExitPlan, Target
from trading_assets.journal import JOURNAL_FILE, PLANS, Journal
from trading_assets.settings import Settings
from trading_assets.store import configured_store
from trading_assets.store.tables import FILLS, LIVE_FUNDING, POSITIONS, SIGNALS
from trading_assets.strategies.plans.plan import TradePlan
from trading_cli.closed_trade import closed_trade
from trading_cli.demo import _promote

NOON = datetime(2025, 3, 3, 12, tzinfo=UTC)
MARKET = "binance:BTC/USDT:USDT"
LADDER = ExitPlan(
    0.015, (Target(0.01, 0.3), Target(0.02, 0.4), Target(0.03, 0.3)), timedelta(hours=48), 1, trailing=0.01
)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        data_dir=tmp_path,
        history={"start": "2025-01-01"},
        sources={"binance": {"kind": "ccxt", "exchange": "binance"}},
        markets={MARKET: {"source": "binance"}},
        node={"starting_balance": 990.0},
    )


def journal_a_short_of_three_targets(settings: Settings) -> None:
    """Two units sold at 100; 0.6 bought back at 99, 0.8 at 98, and the rest by the stop that followed, at 98.5."""
    base = {"market": MARKET, "signal_id": "s-2"}
    plan = TradePlan(MARKET, "s-2", 0.6, NOON, NOON + LADDER.hold, LADDER, 2.0, "entry", side=Side.SHORT)
    plan = plan.filled(2.0, 100.0, [0.6, 0.8, 0.6])
    settings.live_dir.mkdir(parents=True)
    with closing(Journal(settings.live_dir / JOURNAL_FILE, "node")) as journal:
        gone = {"market": MARKET, "signal_id": "s-1", "ts": NOON - timedelta(days=1), "position_id": "p-1"}
        gained = {"event": "closed", "quantity": 0.0, "average_price": 90.0, "realized_pnl": 10.0}
        journal.record(POSITIONS.name, {**gone, **gained})
        signal = {**base, "ts": NOON, "timeframe": "1h", "bar_ts": NOON - timedelta(hours=1), "side": -1}
        signal |= {"probability": 0.6, "threshold": 0.5, "action": "enter", "reason": "", "model": "ladder"}
        journal.record(SIGNALS.name, {**signal, "model_version": 3, "bundle_hash": "", "expected_net_pct": 0.21})
        fills = [("sell", 2.0, 100.0), ("buy", 0.6, 99.0), ("buy", 0.8, 98.0), ("buy", 0.6, 98.5)]
        for number, (side, quantity, price) in enumerate(fills):
            fill = {"order_id": f"o-{number}", "trade_id": f"t-{number}", "side": side, "quantity": quantity}
            ts = NOON + timedelta(hours=number)
            journal.record(FILLS.name, {**base, **fill, "ts": ts, "price": price, "fee": 0.1, "fee_currency": "USDT"})
        done = tuple(one._replace(filled=one.quantity) for one in plan.targets[:2])
        left = {"stop_kind": "trailing", "stop_price": 98.5, "exit_reason": "trailing", "stage": "closed"}
        ended = replace(plan, targets=(*done, plan.targets[2]), **left)
        said = {**base, "ts": NOON + timedelta(hours=3)}
        journal.record(PLANS, {**said, "plan": ended.to_json()})
        last = {**base, "ts": NOON + timedelta(hours=3), "position_id": "p-2", "event": "closed"}
        journal.record(POSITIONS.name, {**last, "quantity": 0.0, "average_price": 100.0, "realized_pnl": 2.7})
    paid = {"node": "node", "market": MARKET, "signal_id": "s-2", "quantity": -2.0, "price": 99.0, "rate": 0.0001}
    rows = [
        {**paid, "ts": NOON + timedelta(minutes=90), "amount": 0.02, "assumed": False},
        {**paid, "ts": NOON + timedelta(minutes=150), "amount": -0.01, "assumed": True},
    ]
    store = configured_store(settings)
    store.prepare([LIVE_FUNDING])
    store.upsert(LIVE_FUNDING, pl.DataFrame(rows, schema=LIVE_FUNDING.columns))


def shown(settings: Settings) -> str:
    panel = closed_trade(settings, "trading")
    assert panel is not None
    console = Console(width=140)
    with console.capture() as captured:
        console.print(panel)
    return captured.get()


def test_it_tells_plan_size_costs_funding_and_net_profit_of_a_trade_by_hand(settings: Settings):
    journal_a_short_of_three_targets(settings)
    said = " ".join(shown(settings).replace("│", " ").split())
    for part in (
        "short binance:BTC/USDT:USDT by ladder version 3, entered 2025-03-03 12:00 UTC at 100",
        "stop 1.50% from the entry, at 101.5",
        "target 1.00% from the entry, 30% of it at 99, filled",
        "target 2.00% from the entry, 40% of it at 98, filled",
        "target 3.00% from the entry, 30% of it at 97 ",
        "stop then at 98.5 (trailing)",
        "time stop 2025-03-05 12:00 UTC",
        "equity_share: 2 units, a notional of 200.00, 20.0% of a balance of 1,000.00",
        "expected +0.21 % net",
        "closed 2025-03-03 15:00 UTC by trailing",
        "price +3.10",
        "fees -0.40",
        "funding +0.01 2 payments while it was held, 1 of them assumed",
        "net profit +2.71 +1.35% of the notional",
        "trading explain s-2",
    ):
        assert part in said


def test_without_a_trade_that_has_ended_there_is_no_screen(settings: Settings):
    assert closed_trade(settings, "trading") is None


def test_a_model_that_is_not_promoted_does_not_keep_the_others_from_trading(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    refused = SimpleNamespace(success=False, subject="cross", failures={"promotion": "ladder decides on these bars"})
    active = {"ladder": SimpleNamespace(model="ladder", version=1, markets=[MARKET])}
    monkeypatch.setattr("trading_assets.launch.tick_promotion_sensor", lambda _: [refused])
    monkeypatch.setattr("trading_assets.registry.deployment.read_manifest", lambda _: SimpleNamespace(models=active))
    _promote(settings)
    said = capsys.readouterr().out
    assert "ladder decides on these bars" in said
    assert "ladder version 1 is active" in said
    active.clear()
    with pytest.raises(TradingError, match="the promotion of cross failed"):
        _promote(settings)
