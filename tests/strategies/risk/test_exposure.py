"""Limits on what positions are worth together: by hand, as a property, and in backtests of made-up markets."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.backtest.worlds import (
    EXACT,
    GENEROUS,
    START,
    backtest,
    candles,
    flat,
    random_signals,
    share_of_equity,
    signals,
    walk,
)
from tests.examples import examples
from tests.strategies.desk import Desk
from trading_assets.backtest.simulation.engine import BacktestResult
from trading_assets.core.sides import Side
from trading_assets.settings import LabelSettings, RiskPerTradeSettings, RiskSettings, VolatilityTargetSettings
from trading_assets.strategies.entry_rule import EntryRule
from trading_assets.strategies.risk.admission import EntryAdmission
from trading_assets.strategies.risk.closes import StoredCloses
from trading_assets.strategies.risk.correlation import Clusters, DailyClusters, find_clusters
from trading_assets.strategies.risk.exposure import Holding, room
from trading_assets.strategies.risk.gate import RiskGate
from trading_assets.strategies.signals import ClosedBar, Stream
from trading_assets.strategies.stored_signals import StoredSignals

A, B, C = (f"sample:{base}/USDT:USDT" for base in ("AAA", "BBB", "CCC"))
EQUITY = 100_000.0
DAY = timedelta(days=1)


def long(market: str, notional: float) -> Holding:
    return Holding(market, Side.LONG, notional)


def limits(**changes: float) -> RiskSettings:
    return GENEROUS.model_copy(update=changes)


# -- by hand -----------------------------------------------------------------------------------------------------------


def test_without_limits_all_of_it_is_admitted() -> None:
    left = room(long(A, 5e6), [long(B, 1e6)], EQUITY, GENEROUS, None)
    assert (left.notional, left.cuts, left.refusal) == (5e6, (), "")


@pytest.mark.parametrize(
    ("changes", "wanted", "admitted", "said"),
    [
        (
            {"max_market_leverage": 0.5},
            400_000,
            50_000,
            "market exposure 400,000.00 cut to 50,000.00 (trading.risk.max_market_leverage 0.5 of 100,000.00)",
        ),
        (
            {"max_leverage": 1.5},
            100_000,
            70_000,
            "total exposure 180,000.00 cut to 150,000.00 (trading.risk.max_leverage 1.5 of 100,000.00)",
        ),
        (
            {"max_leverage": 1.2},
            100_000,
            0,
            "total exposure 180,000.00 above the limit 120,000.00 (trading.risk.max_leverage 1.2 of 100,000.00)",
        ),
        (
            {"max_total_notional": 90_000},
            20_000,
            10_000,
            "total exposure 100,000.00 cut to 90,000.00 (trading.risk.max_total_notional)",
        ),
        (
            {"max_total_notional": 80_000},
            20_000,
            0,
            "total exposure 100,000.00 above the limit 80,000.00 (trading.risk.max_total_notional)",
        ),
        (
            {"max_correlated_leverage": 0.5},
            30_000,
            20_000,
            "correlated exposure 60,000.00 cut to 50,000.00 (trading.risk.max_correlated_leverage 0.5 of 100,000.00 "
            f"with {B})",
        ),
    ],
)
def test_a_cut_and_a_refusal_say_value_and_limit(
    changes: dict[str, float], wanted: float, admitted: float, said: str
) -> None:
    held = [long(B, 30_000), Holding(C, Side.SHORT, 50_000)]
    left = room(long(A, wanted), held, EQUITY, limits(**changes), Clusters({A: 1, B: 1, C: 1}).same_move)
    assert left.notional == pytest.approx(admitted)
    assert [*left.cuts, *filter(None, [left.refusal])] == [said]


@given(
    wanted=st.floats(1, 1e6),
    held=st.lists(st.tuples(st.sampled_from([B, C]), st.sampled_from([*Side]), st.floats(0, 1e5)), max_size=3),
    factors=st.lists(st.one_of(st.none(), st.floats(0.01, 5)), min_size=4, max_size=4),
)
@examples(300)
def test_what_is_admitted_is_never_above_any_limit(
    wanted: float, held: list[tuple[str, Side, float]], factors: list[float | None]
) -> None:
    market, total, money, correlated = factors
    asked = GENEROUS.model_copy(
        update={
            "max_market_leverage": market,
            "max_leverage": total,
            "max_total_notional": None if money is None else money * EQUITY,
            "max_correlated_leverage": correlated,
        }
    )
    known = Clusters({A: 1, B: 1, C: 2})
    others = [Holding(*one) for one in held]
    left = room(long(A, wanted), others, EQUITY, asked, known.same_move)
    assert 0 <= left.notional <= wanted
    assert (left.notional == 0) == bool(left.refusal)
    if left.refusal:
        return
    all_of_it = left.notional + sum(one.notional for one in others)
    alike = left.notional + sum(one.notional for one in others if one.market == B and one.side is Side.LONG)
    for factor, found in ((market, left.notional), (total, all_of_it), (money, all_of_it), (correlated, alike)):
        assert factor is None or found <= factor * EQUITY * (1 + 1e-6)


# -- clusters ----------------------------------------------------------------------------------------------------------


def together(rng: np.random.Generator, count: int, correlation: float) -> tuple[np.ndarray, np.ndarray]:
    one, other = rng.normal(size=count), rng.normal(size=count)
    return one, correlation * one + np.sqrt(1 - correlation**2) * other


def test_what_moves_together_and_against_each_other_is_one_cluster() -> None:
    rng = np.random.default_rng(3)
    a, b = together(rng, 720, 0.9)
    alone, inverse, short = rng.normal(size=720), -a, a[:10]
    known = find_clusters({"a": a, "b": b, "alone": alone, "inverse": inverse, "short": short, "still": 0 * a}, 0.7)
    assert known.of["a"] == known.of["b"] == known.of["inverse"] != known.of["alone"]
    assert {"short", "still"}.isdisjoint(known.of)
    assert known.same_move(long("a", 1), long("b", 1))
    assert not known.same_move(long("a", 1), Holding("b", Side.SHORT, 1)), "one hedges the other"
    assert known.same_move(long("a", 1), Holding("inverse", Side.SHORT, 1))
    assert not known.same_move(long("a", 1), long("inverse", 1))
    assert not known.same_move(long("a", 1), long("alone", 1))
    assert known.same_move(long("a", 1), long("short", 1)), "what is not known to be apart counts as together"


def test_clusters_are_those_of_the_closes_before_midnight_whatever_comes_later() -> None:
    rng = np.random.default_rng(5)
    a, b = together(rng, 24 * 40, 0.95)
    midnight = datetime(2025, 3, 1, tzinfo=UTC)
    times = [midnight - timedelta(hours=24 * 35) + timedelta(hours=n) for n in range(24 * 40)]
    b[24 * 35 :] = rng.normal(size=24 * 5)  # from midnight on they go their own ways

    def source(cut: datetime) -> DailyClusters:
        known = [time for time in times if time <= cut]
        frames = {
            Stream(market, "1h"): pl.DataFrame(
                {"known_at": known, "close": np.exp(np.cumsum(moves / 100))[: len(known)]}
            ).with_columns(pl.col("known_at").cast(pl.Datetime("us", "UTC")))
            for market, moves in ((A, a), (B, b))
        }
        return DailyClusters(frames, StoredCloses(frames), days=30, correlated_from=0.7)

    noon = midnight + timedelta(hours=12)
    asked = [source(cut).at(noon) for cut in (midnight, noon, times[-1])]
    assert asked[0] == asked[1] == asked[2] == Clusters({A: 1, B: 1})
    assert source(times[-1]).at(times[-1]).of == {A: 1, B: 1}, "four days of a month do not part them"
    empty = DailyClusters([Stream(A, "1h"), Stream(B, "1h")], StoredCloses({}), days=30, correlated_from=0.7)
    assert empty.at(noon) == Clusters({})


# -- in a backtest -----------------------------------------------------------------------------------------------------

LABELS = LabelSettings(timeframe="1h", take_profit_pct=50.0, stop_loss_pct=40.0, horizon_bars=4)  # type: ignore[arg-type]
HOUR = timedelta(hours=1)


def market_of(moves: np.ndarray) -> pl.DataFrame:
    """Candles of an hour."""
    close = np.round(100 * np.exp(np.cumsum(moves * 0.002)), 2)
    opens = np.concatenate(([100.0], close[:-1]))
    rows = zip(opens, np.maximum(opens, close), np.minimum(opens, close), close, strict=True)
    frame = candles([tuple(float(price) for price in row) for row in rows])  # type: ignore[misc]
    return frame.with_columns(ts=pl.lit(START) + pl.int_range(pl.len()) * HOUR)


def of_two_markets(
    correlation: float, risk: RiskSettings, entries: Sequence[int] = (24 * 4, 24 * 4 + 12)
) -> BacktestResult:
    a, b = together(np.random.default_rng(11), 24 * 6, correlation)
    both = {A: market_of(a), B: market_of(b)}
    predictions = pl.concat(signals(*((market, n, 0.7) for n in entries), bar=HOUR) for market in both)
    settings = EXACT.sized(position_share=0.3)
    return backtest(predictions, both, settings=settings, labels=LABELS, risk=risk, timeframe="1h")


def test_of_two_markets_that_move_together_the_second_is_refused_of_two_that_do_not_none_is() -> None:
    capped = limits(max_correlated_leverage=0.4, correlation_days=3)
    alike, apart = of_two_markets(0.95, capped), of_two_markets(0.0, capped)
    assert alike.trades["market"].to_list() == [A, A]
    assert alike.refusals == {"correlated exposure": 2}
    assert apart.trades.height == 4
    assert apart.refusals == {}
    assert of_two_markets(0.95, GENEROUS).trades.height == 4


def test_as_long_as_too_little_is_known_markets_count_as_one() -> None:
    early = of_two_markets(0.0, limits(max_correlated_leverage=0.4, correlation_days=3), entries=[10])
    assert early.refusals == {"correlated exposure": 1}


@examples(6)
@given(seed=st.integers(0, 10_000), share=st.floats(0.2, 1.0), most=st.floats(0.3, 2.0))
def test_the_account_never_holds_more_than_its_leverage(seed: int, share: float, most: float) -> None:
    minutes = 300
    frames = {market: walk(minutes, seed=seed + n) for n, market in enumerate((A, B, C))}
    entries = pl.concat(random_signals(m, minutes, seed=seed + n, share=0.8) for n, m in enumerate(frames))
    result = backtest(entries, frames, settings=EXACT.sized(position_share=share), risk=limits(max_leverage=most))
    trades = result.trades.with_columns(worth=pl.col("quantity") * pl.col("entry_price"))
    opened = [pl.DataFrame({"ts": trades["entry_ts"], "moved": trades["worth"]})]
    closed = [pl.DataFrame({"ts": trades["exit_ts"], "moved": -trades["worth"]})]
    held = pl.concat([*opened, *closed]).sort("ts", "moved")["moved"].cum_sum()
    equity = EXACT.starting_balance * 1.1  # no world of five hours earns more
    assert max([0.0, *held.to_list()]) <= most * equity * 1.02  # prices move between a decision and its fill


def test_an_entry_below_the_least_notional_is_refused() -> None:
    result = backtest(signals((A, 0, 0.7)), {A: candles(flat(60))}, risk=limits(min_position_notional=12_000.0))
    assert result.refusals == {"notional": 1}
    assert (
        backtest(signals((A, 0, 0.7)), {A: candles(flat(60))}, risk=limits(min_position_notional=9_000.0)).refusals
        == {}
    )


def test_a_cut_by_a_limit_is_counted_and_said() -> None:
    result = backtest(signals((A, 0, 0.7)), {A: candles(flat(60))}, risk=limits(max_market_leverage=0.05))
    assert result.trades["quantity"].to_list() == [50.0]
    assert result.metrics["capped"] == 1


@pytest.mark.parametrize(("side", "gap"), [(Side.LONG, -1), (Side.SHORT, 1)])
def test_at_its_stop_a_trade_loses_the_share_that_was_to_be_risked_within_a_lot(side: Side, gap: int) -> None:
    settings = EXACT.model_copy(update={"sizing": RiskPerTradeSettings(profile="normal", max_position_share=10)})
    after = 100.0 + 3 * gap
    rows = [*flat(16), (100.0, max(100.0, after), min(100.0, after), after), *flat(60, after)]
    result = backtest(signals((A, 0, 0.7), side=side), {A: candles(rows)}, settings=settings)
    assert result.trades["exit_reason"].to_list() == ["stop_loss"]
    lot = 0.001 * 1.2  # what a step of the quantity loses at most
    assert -result.trades["pnl"][0] == pytest.approx(0.02 * EXACT.starting_balance, abs=lot * 100)


def test_a_volatility_target_needs_a_past_and_takes_it_from_candles_before_the_first_prediction() -> None:
    moves = np.where(np.arange(24 * 6) % 2 == 0, 1.0, -1.0)
    settings = EXACT.model_copy(update={"sizing": VolatilityTargetSettings(annual_volatility=0.05, window_days=3)})
    first, later = (
        backtest(
            signals((A, n, 0.7), bar=HOUR), {A: market_of(moves)}, settings=settings, labels=LABELS, timeframe="1h"
        )
        for n in (5, 24 * 4)
    )
    assert first.refusals == {"the market's volatility of": 1}
    worth = later.trades["quantity"][0] * 100
    volatility = 0.002 * np.sqrt(365 * 24)
    assert worth == pytest.approx(0.05 / volatility * EXACT.starting_balance, rel=0.01)


@pytest.mark.parametrize(
    ("held", "said"),
    [
        ("m-v3-sample:AAA/USDT:USDT-20250101T0000", "a trade is open"),
        ("slow-m-v2-sample:AAA/USDT:USDT-20250101T0000", "a trade of slow-m-v2 is open"),
        ("", "a trade is open"),
    ],
)
def test_a_signal_that_meets_a_trade_of_another_model_says_whose_it_is(held: str, said: str) -> None:
    class Nobody:
        """Is not asked: the trade that is open decides."""

    admission = EntryAdmission(Nobody(), {}, RiskGate(GENEROUS), Nobody(), None, sizing=share_of_equity(0.1))  # type: ignore[arg-type]
    bar = ClosedBar(A, "15m", START, START + HOUR / 4, 100.0, 100.0, 100.0, 100.0, 1e6)
    (signal,) = StoredSignals(signals((A, 0, 0.7)), rule=EntryRule(threshold=0.55), labels=LABELS, model="m").on_bars(
        [bar]
    )
    assert admission.verdict(signal, bar, held=held, halted=None) == ("hold", said, None)


def test_a_model_trades_with_its_weight_of_the_capital_and_none_without_one() -> None:
    for weight, quantity in ((1.0, 100.0), (0.25, 25.0), (0.0, None)):
        desk = Desk(flat(60))
        desk.start(signals((A, 0, 0.7)), weight_of=lambda model, weight=weight: weight if model == "m" else 1.0)
        desk.run(START + HOUR)
        fills = [row["quantity"] for row in desk.journal.of("fills")]
        assert fills[:1] == ([] if quantity is None else [quantity])
    assert desk.actions() == [("refuse", "the model m has 0 of the capital: its weight in the portfolio")]
