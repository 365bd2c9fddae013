"""What the node decided, and whether what is stored says the same."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest

from trading_assets.divergence.attribution import DECISIONS
from trading_assets.divergence.decisions import better_side, decisions_of, unequal_rows, with_cause, with_wanted
from trading_assets.journal import pack
from trading_assets.store.tables import ORDERS, SIGNALS
from trading_assets.strategies.risk.admission import _whose

MARKET = "sample:A/USDT:USDT"
BAR = datetime(2025, 5, 20, 12, tzinfo=UTC)
LENGTH = timedelta(minutes=15)
FEATURES = ["momentum", "range"]


def signals(*said: tuple[str, str]) -> pl.DataFrame:
    """(action, reason) of one bar after the other."""
    rows = [
        dict.fromkeys(SIGNALS.columns)
        | {
            "seq": n,
            "market": MARKET,
            "signal_id": f"s{n}",
            "timeframe": "15m",
            "bar_ts": BAR + n * LENGTH,
            "model": "m",
        }
        | {"action": action, "reason": reason, "model_version": 2, "side": 1}
        for n, (action, reason) in enumerate(said)
    ]
    return pl.DataFrame(rows, schema=SIGNALS.columns)


def test_a_trade_is_wanted_whatever_became_of_it() -> None:
    signal: Any = SimpleNamespace(market=MARKET, model="m")
    held = [_whose(f"{model}-{MARKET}-20250520T1200", signal) for model in ("m-v1", "other-v2")]
    found = with_wanted(
        signals(
            *(("enter", "expected net return"), ("refuse", "the kill switch is on")),
            *(("hold", reason) for reason in (*held, "closes the open trade of the other side")),
            *(("hold", "expected net return -3.1 bps: probability 0.4"), ("hold", "")),
        )
    )
    assert found["wanted"].to_list() == [True] * 5 + [False] * 2


def test_an_entry_that_the_venue_refused_is_a_refused_decision() -> None:
    order = dict.fromkeys(ORDERS.columns) | {"purpose": "entry", "signal_id": "s0", "reason": "margin"}
    orders = pl.DataFrame(
        [order | {"status": "initialized", "reason": ""}, order | {"status": "rejected"}], schema=ORDERS.columns
    )
    changed = pl.DataFrame({"model": ["m"], "market": [MARKET], "bar_ts": [BAR + LENGTH], "changed": ["data"]})
    changed = changed.with_columns(pl.col("bar_ts").dt.cast_time_unit("us"))
    found = decisions_of(signals(("enter", "yes"), ("refuse", "why"), ("hold", "no")), orders, changed)
    assert found.columns == list(DECISIONS)
    assert found["refused"].to_list() == [True, True, False]
    assert found["reason"].to_list() == ["margin", "why", "no"]
    assert found["changed"].to_list() == [None, "data", None]
    assert found["ts"][0] == BAR + LENGTH


@pytest.mark.parametrize(
    ("stored", "same"),
    [
        ((0.1, None), True),
        ((0.1000001, None), True),
        ((0.1, float("nan")), True),
        ((0.102, None), False),
        ((0.1, 0.0), False),
        ((None, None), False),
    ],
)
def test_a_stored_feature_row_is_the_nodes_to_seven_digits(stored: tuple[float | None, ...], same: bool) -> None:
    row = pl.DataFrame({"momentum": [0.1], "range": [None]}, schema=dict.fromkeys(FEATURES, pl.Float64))
    ts = pl.Series([BAR], dtype=pl.Datetime("us", "UTC"))
    live = pl.DataFrame({"market": [MARKET], "packed": [pack(row)]}).with_columns(bar_ts=ts)
    known = pl.DataFrame([stored], schema=dict.fromkeys(FEATURES, pl.Float64), orient="row")
    found = unequal_rows(live, known.with_columns(market=pl.lit(MARKET), ts=ts), FEATURES)
    assert found.is_empty() is same


def test_a_candle_that_was_revised_after_the_decision_is_why_a_row_differs() -> None:
    stamps = pl.Datetime("us", "UTC")
    bars = pl.DataFrame(
        {"market": MARKET, "bar_ts": [BAR, BAR + 40 * LENGTH]}, schema={"market": pl.String, "bar_ts": stamps}
    )
    seen = [(BAR - LENGTH, BAR + 2 * LENGTH), (BAR + 40 * LENGTH, BAR + 40 * LENGTH)]
    revisions = pl.DataFrame(
        [(MARKET, ts, at) for ts, at in seen],
        schema={"market": pl.String, "ts": stamps, "seen_at": stamps},
        orient="row",
    )
    found = with_cause(bars, revisions, bar=LENGTH, reach=10 * LENGTH)
    assert found["changed"].to_list() == ["data", "features"], "the second was known when it was decided"


def test_of_two_sides_the_wanted_one_counts_and_then_the_likelier() -> None:
    rows = [(1, 0.7, False), (-1, 0.6, True)]
    told = pl.DataFrame(rows, schema=["side", "probability", "wanted"], orient="row")
    told = told.with_columns(market=pl.lit(MARKET), bar_ts=pl.lit(BAR))
    assert better_side(told)["side"].to_list() == [-1]
    assert better_side(told.with_columns(wanted=True))["side"].to_list() == [1]
