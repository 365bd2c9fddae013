"""What a trade is expected to earn when all is paid: by hand, as a filter, and told with the decision."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from tests.backtest.worlds import EXACT, GENEROUS, LABELS, A, backtest, candles, flat, signals
from trading_assets.backtest.simulation.engine import run_backtest
from trading_assets.core.sides import Side
from trading_assets.costs.outlook import FundingOutlook
from trading_assets.journal.events import frame
from trading_assets.settings import ModelSettings
from trading_assets.store.tables import FUNDING_RATES
from trading_assets.strategies.entry_rule import EntryRule, Payoff
from trading_assets.strategies.orders.journal_rows import signal_row
from trading_assets.strategies.signals import Signal

PERP = "binance:BTC/USDT:USDT"
AT = datetime(2025, 3, 3, 7, 45, tzinfo=UTC)
HOUR = timedelta(hours=1)


def signal(**changes: Any) -> Signal:
    """70 % for a target of 2 %, 30 % for a stop of 1 %; costs of 12 bps, 2 of them slippage; six hours at most."""
    rule = EntryRule(cost_bps=12.0, slippage_bps=2.0)
    plain = Signal(PERP, AT - HOUR / 4, AT, 0.7, rule, 2.0, 1.0, 24, "m")
    return replace(plain, **changes)


def stored(*rows: tuple[int, float, int], hours: float = 8.0) -> dict[str, pl.DataFrame]:
    """Payments of PERP from (hours from midnight, rate, seconds until it was known)."""
    day = datetime(2025, 3, 3, tzinfo=UTC)
    made = [(PERP, day + h * HOUR, day + h * HOUR + timedelta(seconds=s), rate, hours, None) for h, rate, s in rows]
    return {PERP: pl.DataFrame(made, schema=FUNDING_RATES.columns, orient="row")}


def test_the_parts_by_hand() -> None:
    expected = signal(funding_pct=0.03).expected
    assert expected.gross_pct == pytest.approx(0.7 * 2 - 0.3 * 1)
    assert (expected.fees_pct, expected.slippage_pct, expected.funding_pct) == pytest.approx((0.10, 0.02, 0.03))
    assert expected.net_pct == pytest.approx(1.1 - 0.15)
    assert signal(payoff=Payoff(3.0, 0.5)).expected.gross_pct == pytest.approx(0.7 * 3 - 0.3 * 0.5)


@pytest.mark.parametrize(
    ("side", "rate", "wanted"), [(Side.LONG, 3e-4, 0.03), (Side.SHORT, 3e-4, 0), (Side.SHORT, -3e-4, 0.03)]
)
def test_a_side_is_expected_to_pay_what_it_pays_and_to_receive_nothing(side: Side, rate: float, wanted: float) -> None:
    outlook = FundingOutlook(1.0, stored((0, rate, 0)))
    assert signal(side=side).with_funding(outlook).funding_pct == pytest.approx(wanted)  # one payment in six hours


def test_only_what_is_known_counts_and_each_payment_of_the_horizon() -> None:
    outlook = FundingOutlook(1.0, stored((0, 1e-4, 0), (8, 9e-4, 30)))
    pays = outlook.expected_pct
    assert pays(PERP, Side.LONG, AT, 6 * HOUR) == pytest.approx(0.01)
    assert pays(PERP, Side.LONG, AT, 24 * HOUR) == pytest.approx(0.03)
    assert pays(PERP, Side.LONG, AT + HOUR / 4, 6 * HOUR) == 0, "known a moment later; the next one is far away"
    assert pays(PERP, Side.LONG, AT + HOUR, 24 * HOUR) == pytest.approx(0.27)
    assert FundingOutlook(1.0, stored((0, 1e-4, 0), hours=4.0)).expected_pct(
        PERP, Side.LONG, AT, 6 * HOUR
    ) == pytest.approx(0.02), "every four hours"
    assert FundingOutlook(1.0).expected_pct(PERP, Side.SHORT, AT, 9 * HOUR) == pytest.approx(0.02), "assumed"
    for free in ("binance:BTC/USDT", "sample:SYNA/USDT:USDT"):
        assert FundingOutlook(1.0).expected_pct(free, Side.LONG, AT, 24 * HOUR) == 0


def test_the_wanted_profit_filters_and_says_its_parts() -> None:
    rule = replace(signal().rule, min_net_pct=0.97)
    assert signal(rule=rule).enters
    dear = signal(rule=rule, funding_pct=0.03)
    assert not dear.enters, "0.95 % are expected"
    assert dear.reason.endswith(
        "expected net profit +0.950 %: +1.100 % gross, less fees 0.100 %, slippage 0.020 %, funding 0.030 %, "
        "at least 0.97 % are wanted"
    )
    assert "min_expected_net_pct" in signal(rule=replace(rule, min_net_pct=2.0)).reason
    assert "expected net profit" not in signal().reason, "as it was, where nobody asks"
    assert rule.required(2.0, 1.0) == pytest.approx((1 + 0.12 + 0.97) / 3)


def test_a_backtest_enters_on_what_nets_enough_alone_and_by_default_on_what_it_did() -> None:
    said = signals((A, 0, 0.7), (A, 6, 0.8))
    spec = ModelSettings(markets=[A])

    def entries(wanted: float | None) -> list[float]:
        return (
            run_backtest(
                said,
                {A: candles(flat(240))},
                candle_timeframe="1m",
                model=spec.model_copy(update={"min_expected_net_pct": wanted}),
                labels=LABELS,
                settings=EXACT,
                risk=GENEROUS,
            )
            .trades["probability"]
            .to_list()
        )

    assert entries(None) == [0.7, 0.8]
    assert entries(1.2) == [0.8]  # 0.8 x 2 - 0.2 - 0.1 = 1.3; 0.7 gives 1.0
    assert entries(2.0) == []
    assert backtest(said, {A: candles(flat(240))}).trades.height == 2


def test_a_decision_is_stored_with_its_parts_and_one_of_before_without() -> None:
    _, row = signal_row(signal(funding_pct=0.03), "enter", "", ts=AT)
    assert row["expected_net_pct"] == pytest.approx(0.95)
    told = {name: value.isoformat() if isinstance(value, datetime) else value for name, value in row.items()}
    before = {name: value for name, value in told.items() if not name.startswith("expected_")}
    rows = frame("signals", "node", [(1, told), (2, before)])
    assert rows["expected_net_pct"].to_list() == [pytest.approx(0.95), None]


def test_a_model_that_asks_for_nothing_says_nothing_of_it() -> None:
    assert "min_expected_net_pct" not in ModelSettings(markets=[A]).model_dump(mode="json")
    assert ModelSettings(markets=[A], min_expected_net_pct=2.0).model_dump()["min_expected_net_pct"] == 2.0
