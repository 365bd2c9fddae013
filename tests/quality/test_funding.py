"""Funding payments that a history lacks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.examples import examples
from trading_assets.core.candles import TS
from trading_assets.quality import Finding, funding_gaps

START = datetime(2025, 3, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
LONG_AFTER = START + timedelta(days=90)


def judged(hours: list[int], end: int, start: int = 0, now: datetime = LONG_AFTER) -> Finding:
    times = pl.Series("ts", [START + hour * HOUR for hour in hours], dtype=TS)
    return funding_gaps(times, start=START + start * HOUR, end=START + end * HOUR, now=now)


@pytest.mark.parametrize("step", [1, 2, 4, 8])
@given(lost=st.integers(1, 28), start=st.integers(0, 24))
@examples(25)
def test_a_lost_payment_is_found_whatever_the_interval_and_only_in_the_window_that_it_lies_in(
    step: int, lost: int, start: int
) -> None:
    every = [step * number for number in range(30)]
    assert judged(every, 30 * step, start * step).passed
    rows = judged([hour for hour in every if hour != lost * step], 30 * step, start * step).rows
    if lost < start:
        assert rows.is_empty()
    else:
        assert rows.select("ts", "end", "missing").rows() == [
            (START + lost * step * HOUR, START + lost * step * HOUR, 1)
        ]


def test_an_exchange_that_changes_its_interval_leaves_no_gap() -> None:
    assert judged([*range(0, 48, 8), *range(48, 96, 4), *range(96, 160, 8)], 160).passed


def test_what_is_missing_is_told_with_what_is_usual() -> None:
    finding = judged([0, 4, 8, 20, 24, 28], 32)
    assert finding.rows.select("hours", "missing").row(0) == (12.0, 2)
    assert finding.summary() == "12.0 h without a payment from 2025-03-01 08:00, usual 4.0 h"


@pytest.mark.parametrize(("minutes", "overdue"), [(0, False), (59, False), (62, True)])
def test_the_newest_payment_has_an_hour_to_come(minutes: int, overdue: bool) -> None:
    now = START + 24 * HOUR + timedelta(minutes=minutes)
    assert judged([0, 8, 16], 744, now=now).passed is not overdue
    assert judged([0, 8, 16, 24], 744, now=now).passed


def test_nothing_stored_is_one_gap_and_the_future_none() -> None:
    assert judged([], 24).summary() == "no payment is stored"
    assert judged([], 24, now=START - HOUR).passed
