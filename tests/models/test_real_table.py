"""The table on real candles says what it skips and why, and deflates each row by all that was tried beside it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks import real
from trading_assets.models.estimators import installed
from trading_assets.settings import Settings
from trading_assets.strategies.rules import registered


def test_every_rule_and_every_estimator_has_a_row_and_none_comes_twice() -> None:
    planned = list(real.planned())
    assert {row.kind for row in planned} == {*registered(), *installed()}
    assert len({row.key for row in planned}) == len(planned)


def test_where_no_candles_are_it_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    real.run(tmp_path, tmp_path / "kept.jsonl", None)
    said = capsys.readouterr().out
    assert "binance_BTC-USDT_15m.parquet, binance_ETH-USDT_15m.parquet, binance_SOL-USDT_15m.parquet" in said
    assert said.count("skipped") == len(list(real.planned()))


def test_more_rows_on_the_same_markets_deflate_a_sharpe_ratio(settings: Settings) -> None:
    rng = np.random.default_rng(1)
    chosen = [row for row in real.planned() if row.group is real.GROUPS[0]][:3]

    def said(edge: float, sharpe: float) -> dict[str, object]:
        metrics = {"sharpe": sharpe, "win_rate": 0.5, "profit_factor": 2.0, "max_drawdown": 0.1, "trades": 100.0}
        metrics |= {"pbo": 0.1, "skill_low": 0.1, "sharpe_low": 0.5, "sharpe_high": 3.0, "psr": 0.9, "dsr": 0.9}
        returns = (rng.normal(size=180) + edge).tolist()
        scores = {"auc": 0.6, "brier": 0.2, "raw_brier": None, "coverage": None, "kept": [True, False]}
        return {**scores, "metrics": metrics, "returns": returns}

    done = [(row, said(0.12, sharpe)) for row, sharpe in zip(chosen, (2.0, 0.1, -2.0), strict=True)]
    alone, together = (list(real.table(part, settings))[2] for part in (done[:1], done))
    dsr = [float(line.split("|")[10]) for line in (alone, together)]
    assert dsr[0] > dsr[1]
    assert " 0.2000 (1 of 2) | - | 100 | 2.00 (0.5 to 3.0) |" in together
    assert together.split("|")[5].strip() == "-"
