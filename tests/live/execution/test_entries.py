"""Entries that would not be what was meant: contracts taken for coins, and more orders than a balance can back."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

from tests.strategies.test_pure import SIGNAL
from trading_assets.strategies.orders.matching import AT_VENUE, AT_VENUE_SPOT, SANDBOX, Matching
from trading_live.execution.entries import VenueEntries


class Id(str):
    """An instrument's id."""

    @property
    def venue(self) -> SimpleNamespace:
        return SimpleNamespace(value=self.rpartition(".")[2])


def refusal(matching: Matching, multiplier: str = "1", parts: int = 1, venue: str = "KRAKEN") -> str | None:
    plan = SimpleNamespace(targets=(None,) * parts)
    signal = SimpleNamespace(market=SIGNAL.market, plan=plan)
    instrument = SimpleNamespace(id=Id(f"BTC.{venue}"), multiplier=multiplier)
    return VenueEntries(matching, lambda _: instrument)(signal)  # type: ignore[arg-type]


def test_a_market_that_is_counted_in_contracts_is_entered_where_its_account_is_read_in_coins() -> None:
    said = refusal(AT_VENUE, "0.01")
    assert said == "BTC.KRAKEN is counted in contracts of 0.01, and its account in what is not known"
    assert refusal(AT_VENUE, "0.01", venue="OKX") is None
    assert refusal(AT_VENUE, "1000") is not None
    assert refusal(AT_VENUE, "1.0") is None
    assert refusal(SANDBOX, "0.01") is None


def test_a_plan_of_several_targets_needs_orders_that_only_reduce() -> None:
    assert "needs a perpetual" in (refusal(AT_VENUE_SPOT, parts=2) or "")
    assert refusal(AT_VENUE_SPOT) is None
    assert refusal(AT_VENUE, parts=3) is None
    assert VenueEntries(AT_VENUE, lambda _: None)(replace(SIGNAL)) is None
