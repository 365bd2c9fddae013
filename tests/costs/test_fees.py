"""Fees of each market's venue: by tier or by number, in the engine, in what entries and labels reckon with."""

from __future__ import annotations

from typing import Any

import ccxt
import polars as pl
import pytest

from tests.backtest.worlds import EXACT, A, backtest, candles, flat, random_sides, signals, walk
from trading_assets.core.errors import SettingsError
from trading_assets.core.sides import Side
from trading_assets.settings import BacktestSettings, CostSettings, load_settings
from trading_assets.settings.sections.fee_schedules import SCHEDULES
from trading_assets.settings.sections.sizing import EquityShareSettings

WON = [*flat(20), *flat(100, 102.0)]
SPOT = "kraken:BTC/USD"


def test_a_market_has_the_fees_of_its_venue_and_kind() -> None:
    own = {"bybit": {"derivatives": {"maker_bps": 1, "taker_bps": 3}, "spot": {"tier": "regular"}}}
    costs = CostSettings.model_validate({"fees": own | {"binance": {"derivatives": {"tier": "vip1"}}}})
    wanted = {
        "bybit:BTC/USDT:USDT": (1, 3),
        "bybit:BTC/USDT": (10, 10),
        "binance:BTC/USDT:USDT": (1.6, 4),
        "binance:BTC/USDT": (2, 5),
        "okx:BTC/USDT": (2, 5),
    }
    assert {market: costs.rates(market) for market in wanted} == wanted
    assert costs.of_markets(["bybit:BTC/USDT:USDT", "binance:BTC/USDT:USDT"]).round_trip_bps == 2 * (4 + 1)
    twice = costs.dearer(2)
    assert twice.rates("binance:BTC/USDT:USDT") == (3.2, 8)
    assert twice.rates("okx:BTC/USDT") == (4, 10)
    assert twice.slippage_bps == 2


@pytest.mark.parametrize("side", ["long", "short"])
def test_the_engine_charges_each_market_its_own_fees(side: str) -> None:
    fees = {"sample": {"derivatives": {"maker_bps": 1.0, "taker_bps": 3.0}}}
    settings = BacktestSettings.model_validate({**EXACT.model_dump(), "slippage_bps": 2.0, "fees": fees})
    (trade,) = backtest(signals((A, 0, 0.9)), {A: candles(WON)}, settings=settings).trades.to_dicts()
    by_hand = trade["quantity"] * (100 * (3 + 2) + 102 * 1) / 1e4  # a target that rests is a maker, and does not slip
    assert trade["fees"] == pytest.approx(by_hand, abs=1e-6)


def test_fees_that_say_what_the_two_rates_say_change_no_trade() -> None:
    world, said = walk(2880, seed=4), random_sides(A, 2880, seed=8)
    usual = EXACT.model_copy(update={"slippage_probability": 0.5})
    same = {"sample": {"derivatives": {"maker_bps": 2.0, "taker_bps": 5.0}}}
    found = [
        backtest(said, {A: world}, settings=settings)
        for settings in (usual, BacktestSettings.model_validate({**usual.model_dump(), "fees": same}))
    ]
    assert found[0].trades.height > 30
    assert found[0].trades.equals(found[1].trades)
    assert "fees" not in usual.model_dump(), "settings without it are what they were: in hashes too"


@pytest.mark.parametrize(
    ("fee", "said"),
    [
        ({"tier": "vip99"}, "no tier 'vip99' of kraken spot; known: regular, 10k"),
        ({"tier": "regular", "maker_bps": 1}, "a tier and rates are given"),
        ({"maker_bps": 1}, "name a tier, or give maker_bps and taker_bps"),
        ({"tier": "regular", "paid_in": "base"}, "fees in the base currency are not computed yet"),
    ],
)
def test_what_a_schedule_does_not_have_is_refused_by_name(fee: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        load_settings(trading={"costs": {"fees": {"kraken": {"spot": fee}}}})


def test_labels_are_net_of_the_dearest_fees_of_the_markets_that_learn_them() -> None:
    fees = {"sample": {"derivatives": {"maker_bps": 1.0, "taker_bps": 2.0}}}
    settings = load_settings(trading={"costs": {"fees": fees}})
    assert settings.labels["swing"].cost_bps == 2 * (2 + 1)


@pytest.mark.parametrize(("exchange", "product"), SCHEDULES)
def test_a_higher_tier_is_never_dearer(exchange: str, product: str) -> None:
    rates = list(SCHEDULES[exchange, product].values())  # type: ignore[index]
    for one, column in zip(zip(*rates, strict=True), ("maker", "taker"), strict=True):
        assert list(one) == sorted(one, reverse=True), column


def test_the_entry_tiers_are_those_that_ccxt_knows() -> None:
    for exchange, known in (("binance", ccxt.binance().fees["linear"]["trading"]), ("okx", ccxt.okx().fees["swap"])):
        assert SCHEDULES[exchange, "derivatives"]["regular"] == (1e4 * known["maker"], 1e4 * known["taker"])
    assert isinstance(candles(flat(1)), pl.DataFrame)


def test_a_spot_market_is_not_sold_short_and_lends_nothing() -> None:
    sold = backtest(signals((SPOT, 0, 0.9), side=Side.SHORT), {SPOT: candles(flat(120))})
    assert sold.trades.is_empty()
    assert any("is a spot market" in reason for reason in sold.refusals)
    whole = EXACT.model_copy(update={"sizing": EquityShareSettings(position_share=1.0)})
    (bought,) = backtest(signals((SPOT, 0, 0.9)), {SPOT: candles(flat(120))}, settings=whole).trades.to_dicts()
    assert bought["quantity"] * bought["entry_price"] * (1 + 5 / 1e4) <= EXACT.starting_balance
    assert bought["funding"] == 0
