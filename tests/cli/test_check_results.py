"""The command's verdict says what the backtest has to remark, beside the gates."""

from __future__ import annotations

from rich.console import Console

from trading_assets.launch.runs import CheckOutcome, LaunchResult
from trading_assets.settings import load_settings
from trading_cli.market_data.backfill import verdicts


def test_remarks_stand_under_the_table_with_the_failed_gates() -> None:
    metrics = {"sharpe": 0.3, "trades": 370.0, "max_drawdown": 0.1}
    remarks = ["830 entries were refused by limits beside 370 trades", "the model is overconfident where it trades [x]"]
    gate = CheckOutcome("backtest", "sharpe", False, "noise: sharpe 0.30, required >= 1.20: FAILED", {})
    judged = LaunchResult("noise", "retrain", "r", False, {"backtest": metrics | {"remarks": remarks}}, [gate], {})
    console = Console(width=200, record=True)
    console.print(verdicts(load_settings(), [judged]))
    said = console.export_text()
    for remark in remarks:
        assert f"noise {remark}" in said
    assert "backtest.sharpe noise: sharpe 0.30" in said
