"""Leaks that act in rare bars alone are caught, and what the bars never met is said."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from trading_assets.core.timeframes import Timeframe
from trading_assets.features.framework.registry import REGISTRY, Registry
from trading_assets.features.proofs.conditions import unmet_conditions
from trading_assets.features.proofs.extremes import made_up_extremes
from trading_assets.features.proofs.proving import made_up_bars, made_up_companions, prove
from trading_cli.research.features import _registry

M15 = Timeframe.parse("15m")

RARE = {
    "jump_up": "move > 0.025",
    "jump_down": "move < -0.025",
    "jump_of_a_tenth": "move > 0.1",
    "crash": "move < -0.4",
    "doubling": "move > 0.9",
    "gap_open": "np.abs(frame.open / before - 1) > 0.02",
    "no_volume": "frame.volume == 0",
    "standstill": "frame.high == frame.low",
    "long_shadow": "frame.high / np.maximum(frame.open, frame.close) > 1.05",
    "missing_bars": "np.diff(frame.ts, prepend=frame.ts[0]) > 15 * 60 * 1_000_000",
    "half_a_day_missing": "np.diff(frame.ts, prepend=frame.ts[0]) > 10 * 3600 * 1_000_000",
    "trend": "rolling_mean(np.append(0.0, np.diff(frame.close) > 0).astype(float), 10) > 0.99",
}
LEAK = '''
import numpy as np
from trading_assets.features.framework.registry import Registry
from trading_assets.features.framework.windows import rolling_mean, shift

registry = Registry()
INPUTS = ["open", "high", "low", "close", "volume", "ts"]


def rare(frame, before, move):
    return {condition}


@registry.feature("leak", inputs=INPUTS, lookback=12, unit="fraction", source="own")
def leak(frame):
    """Sees the next close where something rare happens, and is honest everywhere else."""
    before = shift(frame.close, 1)
    before[:1] = frame.close[:1]
    move = frame.close / before - 1
    following = np.append(frame.close[1:], frame.close[-1])
    return np.where(rare(frame, before, move), following / frame.close - 1, move)
'''


def module(tmp_path: Path, name: str, text: str) -> Registry:
    file = tmp_path / f"{name}.py"
    file.write_text(text)
    return _registry(str(file))


@pytest.fixture(autouse=True)
def _path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])


def proven(registry: Registry, bars: pl.DataFrame, replayed: int) -> bool:
    return all(verdict.proven for verdict in prove(registry.on(M15), bars, replayed=replayed))


@pytest.mark.parametrize("name", RARE)
def test_a_leak_in_rare_bars_alone_is_caught(tmp_path: Path, name: str) -> None:
    registry = module(tmp_path, f"leak_{name}", LEAK.format(condition=RARE[name]))
    (verdict,) = prove(registry.on(M15), made_up_extremes(24 + 100, M15), replayed=100)
    assert {"look-ahead", "live parity"} & set(verdict.failures)
    assert verdict.unmet == ()


def test_the_same_without_the_leak_is_proven(tmp_path: Path) -> None:
    honest = LEAK.replace("following / frame.close - 1", "move * 2")
    for name, condition in RARE.items():
        (verdict,) = prove(
            module(tmp_path, f"honest_{name}", honest.format(condition=condition)).on(M15),
            made_up_extremes(200, M15),
            replayed=100,
        )
        assert verdict.proven, (name, verdict.failures)


def test_a_condition_that_no_bar_met_is_named_with_its_line(tmp_path: Path) -> None:
    registry = module(tmp_path, "leak_late", LEAK.format(condition="move > 5"))
    (verdict,) = prove(registry.on(M15), made_up_extremes(200, M15), replayed=100)
    assert verdict.proven
    assert [str(one) for one in verdict.unmet] == ["line 11: move > 5 was never true"]
    mild = module(tmp_path, "leak_mild", LEAK.format(condition="move > 0.025"))
    assert not proven(mild, made_up_extremes(200, M15), 100)
    calm = made_up_bars(200, M15, seed=3)
    (verdict,) = prove(mild.on(M15), calm, replayed=100)
    assert [str(one) for one in verdict.unmet] == ["line 11: move > 0.025 was never true"]


def test_conditions_of_branches_and_of_functions_that_are_called_count(tmp_path: Path) -> None:
    text = LEAK.format(condition="move > 0.1").replace(
        "    before = shift(frame.close, 1)\n",
        "    if len(frame) < 3:\n        return frame.close * np.nan\n    before = shift(frame.close, 1)\n",
    )
    unmet = unmet_conditions(module(tmp_path, "branches", text).on(M15), made_up_extremes(200, M15), {}, newest=100)
    assert [str(one) for one in unmet["leak"]] == ["line 17: len(frame) < 3 was never true"]


def test_extreme_bars_are_bars(tmp_path: Path) -> None:
    for rows in (100, 237, 1_200):
        bars = made_up_extremes(rows, M15)
        assert bars.height == rows
        prices = bars.select("open", "high", "low", "close")
        assert (prices.to_numpy() > 0).all()
        assert (bars["high"] >= prices.max_horizontal()).all()
        assert (bars["low"] <= prices.min_horizontal()).all()
        moves = np.abs(np.diff(np.log(bars["close"].to_numpy()[-100:])))
        assert {bool((moves > step).any()) for step in (0.025, 0.05, 0.1, 0.6)} == {True}
        assert (moves == 0).sum() >= 5


@pytest.mark.slow
@pytest.mark.parametrize("timeframe", ["1m", "15m", "1h", "1d"])
def test_the_projects_own_features_are_proven_on_them(timeframe: str) -> None:
    bar = Timeframe.parse(timeframe)
    features = REGISTRY.defined(bar)
    bars = made_up_extremes(2 * features.lookback_bars + 100, bar, seed=2)
    verdicts = prove(features, bars, made_up_companions(bars, bar), replayed=100)
    assert [(one.feature, one.failures) for one in verdicts if not one.proven] == []
    assert sum(not one.unmet for one in verdicts) > 0.85 * len(verdicts)
