"""What holds in any world: a rule's own answers, no future, the mirror, and the figures of backtest and search."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from tests.screening.agreeing import sets_of
from tests.screening.worlds import FREE, MARKET, NO_LIMITS, START, OfVolume, SaysVolume, at, candles, known, screening
from trading_assets.backtest import metrics
from trading_assets.backtest.round_trips import daily_equity
from trading_assets.core.sides import Side
from trading_assets.screening import frames as module
from trading_assets.screening import running
from trading_assets.screening.sets import grid_sets, random_sets, rule_space
from trading_assets.search.objective import measured
from trading_assets.settings import BacktestSettings, LabelSettings, RuleStrategySettings
from trading_assets.settings.sections.exits import ExitSettings
from trading_assets.strategies.rules import registered, rule_of

KINDS = sorted(registered())
BOTH = tuple(Side)
HOUR = timedelta(hours=1)
LABELS = LabelSettings(timeframe="1h", horizon_bars=12)
PLAN = ExitSettings(atr_bars=24, hold_hours=12)


def spec(kind: str) -> Any:
    """A rule of the project as a model."""
    return RuleStrategySettings.model_validate({"markets": [MARKET], "rule": {"kind": kind}})


def hourly(rows: int, *, seed: int = 1) -> tuple[Any, pl.DataFrame]:
    """A screening on hours of 15-minute candles, and its bars."""
    made = screening(candles(4 * rows, seed=seed), candle_timeframe="15m", labels=LABELS, settings=BacktestSettings())
    return made, made.scene.bars[0]


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_set_wants_is_what_its_rule_says_whatever_is_shared(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "CHUNK", 600)
    made, bars = hourly(4_000)
    rules, seen = [rule_of(one) for one in sets_of(kind, 12)], []
    original = running._wanted

    def kept(*given: Any) -> Any:
        seen.append(original(*given))
        return seen[-1]

    monkeypatch.setattr(running, "_wanted", kept)
    monkeypatch.setattr(running, "cores", lambda: 1)
    running.run(made.scene, made._outcomes, rules, BOTH, made.costs)
    wanted = np.concatenate(seen, axis=2)[:, 0]
    for rule, own in zip(rules, wanted, strict=True):
        assert own.tolist() == rule.sides(bars.select("market", "ts", *rule.inputs)).to_list(), rule.settings
    assert np.abs(wanted).sum() > 50


@pytest.mark.parametrize("exit_plan", [None, PLAN])
def test_what_comes_later_changes_no_trade_that_has_ended(exit_plan: ExitSettings | None) -> None:
    frame, sets = candles(2_000, seed=3), sets_of("momentum", 5)
    cut = frame["ts"][1_400]
    later = pl.col("ts") >= cut
    other = frame.with_columns(
        pl.when(later).then(pl.col(name) * 1.1).otherwise(name).round(2).alias(name)
        for name in ("open", "high", "low", "close")
    )
    how = {"candle_timeframe": "15m", "labels": LABELS, "exit_plan": exit_plan}
    before, after, alone = (screening(one, **how).trades(sets) for one in (frame, other, frame.filter(~later)))
    ended = pl.col("exit_ts") < cut
    assert before.filter(ended).height > 50
    assert before.filter(ended).equals(after.filter(ended))
    assert before.filter(ended).equals(alone.filter(ended, pl.col("exit_reason") != "end"))
    assert before.filter(pl.col("known_at") < cut)["quantity"].equals(
        after.filter(pl.col("known_at") < cut)["quantity"]
    )


@hypothesis(max_examples=20)
@given(seed=st.integers(0, 10_000), planned=st.booleans())
def test_in_the_mirror_short_trades_earn_what_long_ones_did(seed: int, planned: bool) -> None:
    rng, length, trades = np.random.default_rng(seed), 40, 6
    steps = rng.normal(0, 0.5, (trades, length)).round(2)
    steps[:, :2] = 0  # each trade begins at 100, which is the mirror
    close = 100 + steps.cumsum(axis=1).round(2)
    open_ = np.concatenate([np.full((trades, 1), 100.0), close[:, :-1]], axis=1)
    wide = rng.exponential(0.3, (2, trades, length)).round(2)
    high, low = np.maximum(open_, close) + wide[0], np.minimum(open_, close) - wide[1]
    ts = [START + timedelta(minutes=row) for row in range(trades * length)]
    world = pl.DataFrame(
        {"ts": pl.Series(ts, dtype=pl.Datetime("us", "UTC"))}
        | {name: one.ravel() for name, one in (("open", open_), ("high", high), ("low", low), ("close", close))}
    )
    signs = rng.choice([1, -1], trades)
    said = {row * length: int(sign) for row, sign in enumerate(signs)}
    turned = world.with_columns(
        open=200 - pl.col("open"), high=200 - pl.col("low"), low=200 - pl.col("high"), close=200 - pl.col("close")
    )
    plan = ExitSettings(unit="percent", trailing=None, on_opposite=False, hold_hours=0.5) if planned else None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "rule_of", OfVolume)
        long, short = (
            screening(at(frame, sides), exit_plan=plan).trades([SaysVolume()])
            for frame, sides in ((world, said), (turned, {row: -sign for row, sign in said.items()}))
        )
    assert long["exit_reason"].to_list() == short["exit_reason"].to_list()
    assert long["return"].to_list() == pytest.approx(short["return"].to_list(), abs=1e-9)
    assert (long["side"] != short["side"]).all()


def test_an_accounts_figures_are_those_of_backtest_and_search() -> None:
    made, bars = hourly(1_500)
    sets = sets_of("mean_reversion", 6)
    found, trades = made.screen(sets, needed=40), made.trades(sets)
    closes = {MARKET: bars.select("known_at", "close")}
    start, end = bars["known_at"][0], bars["known_at"][-1]
    for number, row in enumerate(found.table.iter_rows(named=True)):
        own = trades.filter(pl.col("set") == number + 1)
        fee = pl.col("quantity") * pl.col("entry_price") * made.costs.taker[0]
        told = own.with_columns(entry_fee=fee, signal_id=pl.lit(""))
        days = daily_equity(told, closes, starting_balance=100_000, start=start, end=end)
        equity = days["equity"].to_list()
        returns = found.returns[number]
        assert row["trades"] == own.height
        assert row["net"] == pytest.approx(own["pnl"].sum() / 100_000)
        assert metrics.daily_returns(equity, 100_000) == pytest.approx(returns, abs=1e-5)  # fills slip by half a tick
        assert row["sharpe"] == pytest.approx(metrics.sharpe(returns))
        assert row["value"] == pytest.approx(measured(returns, own.height, 40).value)
        assert row["profit_factor"] == pytest.approx(metrics.profit_factor(own["pnl"].to_numpy()))
        assert row["win_rate"] == pytest.approx((own["pnl"] > 0).mean())
        assert row["max_drawdown"] == pytest.approx(metrics.max_drawdown(np.cumprod(1 + returns).tolist(), 1.0))


def test_an_account_alone_is_what_it_is_among_many_and_market_by_market() -> None:
    frames = {f"sample:{name}/USDT:USDT": candles(1_200, seed=number) for number, name in enumerate("AB")}
    how: dict[str, Any] = {
        "candle_timeframe": "15m",
        "labels": LABELS,
        "exit_plan": PLAN,
        "settings": BacktestSettings(),
    }
    sets = sets_of("donchian", 40)
    made = screening(frames, **how)
    together = made.screen(sets)
    alone = screening(frames, **how).screen(sets[7:8])
    assert together.returns[7].tolist() == alone.returns[0].tolist()
    both = made.trades(sets[7:8])
    for market, frame in frames.items():
        own = screening({market: frame}, **how).trades(sets[7:8])
        mine = both.filter(pl.col("market") == market)
        same = ["known_at", "exit_ts", "return", "exit_reason"]
        assert_frame_equal(mine.select(same), own.select(same))


def test_a_grid_is_as_fine_as_it_may_be_and_random_sets_differ() -> None:
    rule, space = spec("momentum").rule, rule_space(spec("momentum"), {"rule.threshold": (0.5, 1.0)})
    grid = grid_sets(rule, space, 100)
    assert grid[0] == rule
    assert len(grid) == 1 + 7 * 7 * 2
    assert {one.threshold for one in grid[1:]} == {0.5, 1.0}
    drawn = random_sets(rule, space, 200, seed=1)
    assert len({repr(one) for one in drawn}) == len(drawn) == 200
    assert drawn == random_sets(rule, space, 200, seed=1)
    only = random_sets(rule, {"threshold": (0.5, 1.0)}, 50, seed=1)
    assert len(only) == 2, "there are no more"


def test_bars_of_the_store_are_what_is_decided_on() -> None:
    frame = candles(800)
    bars = known(frame.gather_every(4), MARKET, HOUR)
    made = screening(frame, candle_timeframe="15m", labels=LABELS, bars={MARKET: bars}, settings=FREE, risk=NO_LIMITS)
    assert made.scene.bars[0]["close"].equals(bars["close"])
