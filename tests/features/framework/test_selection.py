"""Features chosen by name, family or pattern: the same values, and nothing else is computed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.examples import examples
from tests.features.conftest import TIMEFRAMES, World, world_of
from trading_assets.core.errors import SettingsError
from trading_assets.core.timeframes import Timeframe
from trading_assets.features import compute, compute_newest, feature_names, lookback_bars, registry, select
from trading_assets.features.framework import computation
from trading_assets.features.framework.registry import REGISTRY, Registry
from trading_assets.features.framework.selection import RENAMED

M15, H4, D1 = (Timeframe.parse(text) for text in ("15m", "4h", "1d"))
KEYS = ["market", "ts", "known_at"]
NAMES = st.lists(st.sampled_from(sorted(feature_names(M15))), min_size=1, max_size=8)


def test_names_families_and_patterns_may_be_mixed_and_the_order_is_the_registrys():
    chosen = select(["rsi_*", "momentum", "atr_14" if "atr_14" in registry(M15) else "natr_14", "macd_hist"], M15)
    momentum = [name for name, one in registry(M15).items() if one.family == "momentum"]
    assert set(chosen.names) == {*momentum, "natr_14", "macd_hist"}
    assert list(chosen.names) == [name for name in feature_names(M15) if name in chosen.names]
    assert feature_names(M15, ["patterns"]) == tuple(n for n, one in registry(M15).items() if one.family == "patterns")
    assert select(["h?_rsi_14", "[rs]oc_1"], M15).names == ("roc_1", "h1_rsi_14", "h4_rsi_14")


@examples(20)
@given(names=NAMES, timeframe=st.sampled_from(TIMEFRAMES))
def test_a_choice_has_the_values_of_the_whole_and_its_own_look_back(names, timeframe):
    names = [name for name in names if name in registry(timeframe)] or ["rsi_14"]
    bars, companions = world_of(timeframe)
    bars = bars.tail(lookback_bars(timeframe) + 3)
    chosen = compute(bars, companions, timeframe=timeframe, features=names)
    whole = compute(bars, companions, timeframe=timeframe)
    assert chosen.columns == [*KEYS, *feature_names(timeframe, names)]
    assert chosen.tail(whole.height).equals(whole.select(chosen.columns), null_equal=True)
    assert chosen.height == bars.height - max(registry(timeframe)[name].lookback for name in names) + 1
    newest = compute_newest([bars] * 2, [companions] * 2, timeframe=timeframe, features=names)
    assert newest[1].frame.equals(whole.select(chosen.columns).tail(1), null_equal=True)


def test_nothing_is_computed_that_was_not_chosen(world: World):
    own, called = Registry(), []

    def reads(name: str, lookback: int) -> None:
        @own.feature(name, f"{name}_too", inputs=["close"], lookback=lookback, unit="u", source="s")
        def function(frame):
            called.append(name)
            return frame.close, -frame.close

    reads("one", 2)
    reads("other", 700)
    bars = world(M15)[0].head(1_000)
    rows = computation.compute(bars, own.select(["one_too"], M15))
    assert (called, rows.columns, rows.height) == (["one"], [*KEYS, "one_too"], 999)
    assert rows["one_too"].equals(-bars["close"][1:].alias("one_too"))


def test_a_choice_says_which_companions_it_needs():
    assert select(["rsi_14", "levels"], M15).companions == ()
    assert select(["rsi_14", "funding_*", "leader"], M15).companions == ("funding", "leader")


@pytest.mark.parametrize(
    ("wanted", "timeframe", "message"),
    [
        (["rsi14"], M15, "there is no feature, family or pattern 'rsi14'; did you mean 'rsi_14'?"),
        (["momentun"], M15, "did you mean 'momentum'?"),
        (["qqqqqqq"], M15, "families: .*trend, .*volatility"),
        (["zz_*"], M15, "there is no feature, family or pattern 'zz_[*]'"),
        (["rsi_14", "roc_96"], M15, "pattern 'roc_96'; it is called 'roc_1d'"),
        (
            ["hour"],
            D1,
            "hour is not defined on 1d: 1d has 1 of its bars, and at least 2 are needed; leave",
        ),
        (["higher"], H4, "none of the 14 features of 'higher' is defined on 4h: 1h has 1 of its bars"),
        (["trix_*"], D1, "all features of 'trix_[*]' look back for longer than three years; name those"),
        ([], M15, "no features are chosen"),
    ],
)
def test_what_is_not_there_is_refused_with_what_is_meant(wanted, timeframe, message):
    with pytest.raises(SettingsError, match=message):
        select(wanted, timeframe)


def test_every_name_of_before_leads_to_the_present_one():
    for old, new in RENAMED.items():
        assert new in REGISTRY.declared
        with pytest.raises(SettingsError, match=f"it is called '{new}'"):
            select([old], M15)
