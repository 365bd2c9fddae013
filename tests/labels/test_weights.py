from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.examples import examples
from trading_assets.core.candles import TS
from trading_assets.core.errors import InvalidFrame, SettingsError
from trading_assets.labels.weights import average_uniqueness, return_attribution, sample_weights, time_decay

START = datetime(2024, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


def at(hours: list[float]) -> pl.Series:
    return pl.Series([START + hour * HOUR for hour in hours], dtype=TS)


def lives(*spans: tuple[float, float], market: str = "A") -> pl.DataFrame:
    starts, ends = [list(side) for side in zip(*spans, strict=True)]
    return pl.DataFrame({"market": [market] * len(spans), "known_at": at(starts), "label_end": at(ends)})


def closes(prices: list[float], market: str = "A") -> pl.DataFrame:
    return pl.DataFrame({"market": market, "known_at": at([float(i) for i in range(len(prices))]), "close": prices})


BY_HAND = lives((0, 2), (1, 3), (4, 5))
"""Alone for an hour, together with the second, alone again; the third for itself."""


def test_uniqueness_by_hand() -> None:
    assert average_uniqueness(BY_HAND).to_list() == pytest.approx([(1 + 1 / 2) / 2, (1 / 2 + 1) / 2, 1])


def test_return_attribution_by_hand() -> None:
    prices = closes([math.exp(level) for level in (0, 0.1, 0.3, 0.2, 0.2, -0.3)])
    got = return_attribution(BY_HAND, prices)
    assert got.to_list() == pytest.approx([0.1 + 0.2 / 2, abs(0.2 / 2 - 0.1), 0.5])


def test_decay_by_hand() -> None:
    """Four labels of uniqueness 1, 1/2, 1/2, 1: a line over what was seen, 1, 1.5, 2 and 3 of 3."""
    known_at, uniqueness = at([0, 1, 2, 3]), pl.Series([1.0, 0.5, 0.5, 1.0])
    assert time_decay(known_at, uniqueness, 1.0).to_list() == [1, 1, 1, 1]
    assert time_decay(known_at, uniqueness, 0.0).to_list() == pytest.approx([1 / 3, 1 / 2, 2 / 3, 1])
    assert time_decay(known_at, uniqueness, 0.4).to_list() == pytest.approx([0.6, 0.7, 0.8, 1])
    assert time_decay(known_at, uniqueness, -0.5).to_list() == pytest.approx([0, 0, 1 / 3, 1])


def test_labels_that_meet_do_not_overlap_and_other_markets_share_nothing() -> None:
    assert average_uniqueness(lives((0, 1), (1, 2))).to_list() == [1, 1]
    both = pl.concat([lives((0, 2)), lives((0, 2), market="B")])
    assert average_uniqueness(both).to_list() == [1, 1]
    assert average_uniqueness(lives((0, 2), (0, 2), (0, 2))).to_list() == pytest.approx([1 / 3] * 3)


def test_labels_of_the_same_time_decay_alike_whatever_their_order() -> None:
    known_at, uniqueness = at([1, 0, 1]), pl.Series([0.5, 1.0, 0.5])
    assert time_decay(known_at, uniqueness, 0.0).to_list() == pytest.approx([1, 0.5, 1])


def test_weights_average_to_one_and_rank_the_unique_and_the_new_higher() -> None:
    plain, decayed = sample_weights(BY_HAND), sample_weights(BY_HAND, oldest=0.0)
    assert plain.mean() == pytest.approx(1)
    assert decayed.mean() == pytest.approx(1)
    assert plain.to_list() == pytest.approx([0.9, 0.9, 1.2])
    assert decayed[0] < decayed[1] < decayed[2]
    moved = [math.log(1.1) + math.log(1.2 / 1.1) / 2, math.log(1.2 / 1.1) / 2 + math.log(1.3 / 1.2), math.log(2 / 1.3)]
    weights = sample_weights(BY_HAND, closes([1.0, 1.1, 1.2, 1.3, 1.3, 2.0]))
    assert weights.to_list() == pytest.approx([3 * share / sum(moved) for share in moved])


def slow_uniqueness(start: list[int], end: list[int]) -> list[float]:
    """The book's way: a table of bars, the count of labels that live in each."""
    count = [sum(s <= bar < e for s, e in zip(start, end, strict=True)) for bar in range(max(end))]
    return [float(np.mean([1 / count[bar] for bar in range(s, e)])) for s, e in zip(start, end, strict=True)]


def slow_attribution(start: list[int], end: list[int], level: list[float]) -> list[float]:
    count = [sum(s <= bar < e for s, e in zip(start, end, strict=True)) for bar in range(max(end))]
    return [
        abs(sum((level[bar + 1] - level[bar]) / count[bar] for bar in range(s, e)))
        for s, e in zip(start, end, strict=True)
    ]


@examples(150)
@given(st.lists(st.tuples(st.integers(0, 40), st.integers(1, 15)), min_size=1, max_size=40), st.integers(0, 2**32 - 1))
def test_both_weights_agree_with_the_books_way_of_counting_bars(spans: list[tuple[int, int]], seed: int) -> None:
    start, end = [first for first, _ in spans], [first + length for first, length in spans]
    labels = lives(*zip(start, end, strict=True))
    level = np.random.default_rng(seed).normal(scale=0.01, size=60).cumsum()
    assert average_uniqueness(labels).to_list() == pytest.approx(slow_uniqueness(start, end), rel=1e-9)
    got = return_attribution(labels, closes(np.exp(level).tolist()))
    assert got.to_list() == pytest.approx(slow_attribution(start, end, level.tolist()), rel=1e-9, abs=1e-12)


@examples(50)
@given(st.lists(st.tuples(st.floats(0, 40), st.floats(0.01, 15)), min_size=1, max_size=30), st.randoms())
def test_uniqueness_lies_between_one_over_the_labels_and_one_and_does_not_depend_on_the_order(
    spans: list[tuple[float, float]], random: object
) -> None:
    labels = lives(*((first, first + length) for first, length in spans))
    got = average_uniqueness(labels)
    assert got.is_between(1 / labels.height - 1e-9, 1 + 1e-9).all()
    turned = average_uniqueness(labels.reverse()).reverse()
    assert got.to_list() == pytest.approx(turned.to_list())


def test_no_labels_have_no_weights() -> None:
    nothing = BY_HAND.clear()
    assert sample_weights(nothing, closes([1.0, 2.0])).to_list() == []


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (BY_HAND.drop("label_end"), "label_end is missing"),
        (BY_HAND.with_columns(pl.col("known_at").dt.replace_time_zone(None)), "known_at is Datetime"),
        (BY_HAND.with_columns(pl.lit(None, TS).alias("label_end")), "label_end has 3 nulls"),
        (lives((0, 2), (3, 3)), "1 labels do not end after they began"),
    ],
)
def test_labels_that_break_the_contract_are_refused(labels: pl.DataFrame, message: str) -> None:
    with pytest.raises(InvalidFrame, match=message):
        sample_weights(labels)


@pytest.mark.parametrize(
    ("prices", "message"),
    [
        (closes([1.0, 2.0, 3.0]), "do not reach from the first decision to the last outcome"),
        (closes([1.0] * 6, market="B"), "prices of A do not reach"),
        (closes([1.0] * 6).reverse(), "not ascending"),
        (closes([1.0, 0.0, 1.0, 1.0, 1.0, math.nan]), "2 closes are not positive numbers"),
        (closes([1.0] * 6), "all weights are 0"),
    ],
)
def test_prices_that_cannot_weigh_are_refused(prices: pl.DataFrame, message: str) -> None:
    with pytest.raises(InvalidFrame, match=message):
        sample_weights(BY_HAND, prices)


@pytest.mark.parametrize("oldest", [-1.0, 1.5, math.nan])
def test_a_decay_that_is_none_is_refused(oldest: float) -> None:
    with pytest.raises(SettingsError, match="oldest"):
        sample_weights(BY_HAND, oldest=oldest)


@pytest.mark.parametrize("bad", [math.nan, math.inf, 0.0, None])
def test_a_uniqueness_that_is_none_is_refused_instead_of_weighing_every_row_nan(bad: float | None) -> None:
    with pytest.raises(InvalidFrame, match="1 known_at are missing, or uniqueness is not positive"):
        time_decay(at([0, 1, 2]), pl.Series([1.0, bad, 0.5]), 0.5)
    with pytest.raises(InvalidFrame, match="1 known_at are missing"):
        time_decay(pl.Series([START, None], dtype=TS), pl.Series([1.0, 1.0]), 0.5)
