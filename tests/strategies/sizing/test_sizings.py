"""How large a position is, before any limit: known answers by hand, and what always holds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.examples import examples
from tests.seats import registered_here
from trading_assets.core.sides import Side
from trading_assets.settings import (
    EquityShareSettings,
    KellySettings,
    RiskPerTradeSettings,
    Settings,
    SizingSettings,
    VolatilityTargetSettings,
)
from trading_assets.settings.sections.sizing import PROFILES
from trading_assets.strategies.entry_rule import EntryRule
from trading_assets.strategies.risk.closes import StoredCloses, realised_volatility
from trading_assets.strategies.signals import Signal, Stream
from trading_assets.strategies.sizing import Sizing, Stake, register, registered, sizing_of
from trading_assets.strategies.sizing.examples import size_example
from trading_assets.strategies.sizing.risk_per_trade import loss_at_stop
from trading_assets.validation.coverage import CERTAIN, NAMES

NOON = datetime(2025, 1, 1, 12, tzinfo=UTC)
EITHER, EMPTY, NOT_TAKE_PROFIT = NAMES.index("either"), NAMES.index("empty"), NAMES.index("not take-profit")


def signal(
    probability: float = 0.6,
    *,
    target: float = 2.0,
    stop: float = 1.0,
    cost_bps: float = 12.0,
    side: Side = Side.LONG,
    prediction_set: int | None = None,
) -> Signal:
    return Signal(
        market="binance:BTC/USDT:USDT",
        ts=NOON - timedelta(minutes=15),
        known_at=NOON,
        probability=probability,
        rule=EntryRule(cost_bps),
        take_profit_pct=target,
        stop_loss_pct=stop,
        horizon_bars=8,
        model="m",
        side=side,
        prediction_set=prediction_set,
    )


def share(settings: SizingSettings, one: Signal, volatility: float | None = None) -> float:
    return sizing_of(settings).stake(one, volatility=volatility).share


def test_four_kinds_are_registered_and_each_says_where_it_is_from() -> None:
    assert [*registered()] == ["equity_share", "kelly", "risk_per_trade", "volatility_target"]
    assert all(kind.source for kind in registered().values())


def test_an_equity_share_is_the_same_for_all_and_says_nothing() -> None:
    assert sizing_of(EquityShareSettings(position_share=0.3)).stake(signal(0.9)) == Stake(0.3)
    by_kelly = EquityShareSettings(position_share=0.5, kelly_fraction=0.01)
    assert share(by_kelly, signal(0.5)) == pytest.approx(0.01 * (0.5 / 0.0112 - 0.5 / 0.0188))


# -- risk per trade ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("profile", "risk"), PROFILES.items())
def test_a_stop_of_one_percent_and_12_bps_make_the_position_that_loses_the_profiles_share(
    profile: str, risk: float
) -> None:
    settings = RiskPerTradeSettings(profile=profile, max_position_share=10)  # type: ignore[arg-type]
    # 1 % and 6 bps of the entry, 6 bps of an exit at 99 %: 1.1194 %
    assert share(settings, signal(stop=1.0)) == pytest.approx(risk / 0.011194, rel=1e-12)
    assert share(settings, signal(stop=1.0, side=Side.SHORT)) == pytest.approx(risk / 0.011206, rel=1e-12)


@given(
    stop=st.floats(0.05, 20),
    cost_bps=st.floats(0, 50),
    risk=st.floats(0.001, 0.1),
    side=st.sampled_from([Side.LONG, Side.SHORT]),
)
@examples(200)
def test_what_is_lost_at_the_stop_with_costs_is_the_share_that_was_to_be_risked(
    stop: float, cost_bps: float, risk: float, side: Side
) -> None:
    settings = RiskPerTradeSettings(risk_share=risk, max_position_share=1e9)
    equity, price, fee = 50_000.0, 100.0, cost_bps / 2e4
    quantity = share(settings, signal(stop=stop, cost_bps=cost_bps, side=side)) * equity / price
    out = price * (1 - side * stop / 100)
    lost = side * (price - out) * quantity + fee * price * quantity + fee * out * quantity
    assert lost == pytest.approx(risk * equity, rel=1e-9)


def test_a_near_stop_does_not_make_a_position_beyond_its_bound_and_the_stake_says_so() -> None:
    stake = sizing_of(RiskPerTradeSettings(profile="bold")).stake(signal(stop=0.5))
    assert stake.share == 1.0
    assert stake.why == (
        "risk 3.00% of equity, 0.620% lost at the stop with costs: 4.841 of equity, "
        "at most 1 (trading.sizing.max_position_share)"
    )
    assert loss_at_stop(signal(stop=0.5)) == pytest.approx(0.005 + 0.0006 + 0.0006 * 0.995)


# -- volatility target -------------------------------------------------------------------------------------------------


def test_a_position_is_the_target_over_the_markets_volatility() -> None:
    """Moskowitz, Ooi and Pedersen (2012), equation 5: 40 % over the volatility known before."""
    paper = VolatilityTargetSettings(annual_volatility=0.4, max_position_share=10)
    assert share(paper, signal(), 0.8) == 0.5
    assert share(paper, signal(), 0.2) == 2.0
    assert share(VolatilityTargetSettings(annual_volatility=0.4), signal(), 0.2) == 1.0
    unknown = sizing_of(paper).stake(signal(), volatility=None)
    assert (unknown.share, unknown.why[:42]) == (0.0, "the market's volatility of 7 days is not k")
    assert share(paper, signal(), 0.0) == 0.0


def closes(values: list[float], step: timedelta = timedelta(hours=1), end: datetime = NOON) -> pl.DataFrame:
    times = [end - (len(values) - 1 - n) * step for n in range(len(values))]
    return pl.DataFrame({"known_at": times, "close": values}).with_columns(
        pl.col("known_at").cast(pl.Datetime("us", "UTC"))
    )


def test_volatility_by_hand_and_over_a_gap() -> None:
    up_and_down = closes([100.0 if n % 2 else 101.0 for n in range(169)])  # a week of hours, each 0.995 %
    hour = np.log(1.01)
    week = timedelta(days=7)
    assert realised_volatility(up_and_down, week) == pytest.approx(hour * np.sqrt(365 * 24), rel=1e-12)
    halved = up_and_down.filter(pl.int_range(pl.len()) % 24 != 5)  # some are missing: the time that they took counts
    assert realised_volatility(halved, week) == pytest.approx(hour * np.sqrt(365 * 24), rel=0.06)
    assert realised_volatility(up_and_down.tail(80), week) is None, "less than half of the window"
    assert realised_volatility(closes([1.0] * 20, timedelta(hours=9)), week) is None, "too few"
    assert realised_volatility(closes([1.0] * 169), week) == 0.0


def test_no_close_after_the_decision_is_told() -> None:
    stream = Stream("a:B/USDT:USDT", "1h")
    stored = StoredCloses({stream: closes([float(n + 1) for n in range(100)])})
    told = stored(stream, NOON - timedelta(hours=10), NOON - timedelta(hours=3))
    assert told["close"].to_list() == [90.0, 91.0, 92.0, 93.0, 94.0, 95.0, 96.0, 97.0]
    assert stored(Stream("other", "1h"), NOON - timedelta(days=1), NOON).is_empty()


# -- kelly -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("held", "fraction"), [(CERTAIN, 0.02), (EITHER, 0.005), (None, 0.005), (NOT_TAKE_PROFIT, 0.0), (EMPTY, 0.0)]
)
def test_the_prediction_set_caps_the_fraction(held: int | None, fraction: float) -> None:
    settings = KellySettings(fraction=0.02, when_ambiguous=0.25, max_position_share=10)
    asked = signal(0.6, prediction_set=held)
    whole = 0.6 / 0.0112 - 0.4 / 0.0188  # Kelly (1956), of a bet that earns 1.88 % or loses 1.12 %
    stake = sizing_of(settings).stake(asked)
    assert stake.share == pytest.approx(fraction * whole, rel=1e-12)
    assert f"prediction set {'unknown' if held is None else NAMES[held]}" in stake.why


def test_even_money_is_kellys_own_answer() -> None:
    """Of an even bet without costs the stake is 2 p - 1 (Kelly 1956, section "The gambler with a private wire")."""
    even = signal(0.75, target=100.0, stop=100.0, cost_bps=0.0, prediction_set=CERTAIN)
    assert share(KellySettings(fraction=1.0, max_position_share=10), even) == pytest.approx(0.5)


@given(
    low=st.floats(0.01, 0.99),
    high=st.floats(0.01, 0.99),
    held=st.sampled_from([None, CERTAIN, EITHER, EMPTY, NOT_TAKE_PROFIT]),
    most=st.floats(0.01, 5),
)
@examples(200)
def test_kelly_grows_with_the_probability_never_beyond_its_bound(
    low: float, high: float, held: int | None, most: float
) -> None:
    settings = KellySettings(fraction=0.3, max_position_share=most)
    less, more = (share(settings, signal(p, prediction_set=held)) for p in sorted((low, high)))
    assert 0 <= less <= more <= most
    assert more <= share(settings, signal(max(low, high), prediction_set=CERTAIN)), "none is larger than a certain one"


# -- the seat ----------------------------------------------------------------------------------------------------------


def test_a_sizing_of_ones_own_is_one_class_and_one_registration() -> None:
    with registered_here():

        class HalfSettings(SizingSettings):
            kind: str = "half"

        @register
        class Half(Sizing[HalfSettings]):
            section = HalfSettings
            source = "mine"

            def stake(self, signal: Signal, *, volatility: float | None = None) -> Stake:
                return Stake(0.5)

        assert share(HalfSettings(), signal()) == 0.5
    assert "half" not in registered()


# -- what `trading check` says -----------------------------------------------------------------------------------------


def project(**trading: object) -> Settings:
    return Settings.model_validate(
        {
            "sources": {"sample": {"kind": "sample"}},
            "markets": {"sample:SYNA/USDT:USDT": {"source": "sample"}},
            "labels": {"near": {"stop_loss_pct": 0.5}, "scaled": {"barriers": "atr"}},
            "models": {name: {"markets": ["sample:SYNA/USDT:USDT"], "label": name} for name in ("near", "scaled")},
            "trading": trading,
        }
    )


def test_the_example_of_a_model_is_what_its_first_entry_would_be() -> None:
    one = size_example(project(), "near", 50_000.0)
    assert (one.notional, one.leverage, one.limited) == (5_000.0, 0.1, ())
    assert one.at_stop == pytest.approx(5_000 * (0.005 + 0.0006 * 1.995))
    risky = {"kind": "risk_per_trade", "profile": "cautious", "max_position_share": 5}
    wide = project(sizing=risky, risk={"max_position_notional": 1e6, "max_leverage": 0.9})
    near, scaled = (size_example(wide, name, 50_000.0) for name in ("near", "scaled"))
    assert scaled.at_stop == pytest.approx(500, rel=1e-9)
    assert scaled.assumed.startswith("stop 1.00% (scale 1%)")
    assert near.notional == 45_000
    assert near.limited == ("total exposure 80,684.20 cut to 45,000.00 (trading.risk.max_leverage 0.9 of 50,000.00)",)
    refused = size_example(project(risk={"min_position_notional": 6_000}), "near", 50_000.0)
    assert (refused.notional, refused.limited) == (
        0.0,
        ("notional 5,000.00 below the minimum 6,000.00 (trading.risk.min_position_notional)",),
    )
    dear = {"fees": {"sample": {"derivatives": {"maker_bps": 20, "taker_bps": 49}}}}
    assert size_example(project(costs=dear), "near", 50_000.0).at_stop == pytest.approx(5_000 * (0.005 + 0.005 * 1.995))
    for kind in registered():
        assert size_example(project(sizing={"kind": kind}), "near", 50_000.0).notional > 0
