"""Decimals, steps and texts of numbers at any scale."""

from __future__ import annotations

import doctest

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading_assets.core import precision
from trading_assets.core.precision import price_decimals, significant, volume_decimals


def test_the_examples_are_true() -> None:
    assert doctest.testmod(precision).failed == 0


@pytest.mark.parametrize(
    ("prices", "decimals"), [([1.5, 2.25, 1e-5], 5), ([1.0, 2.0], 0), ([1 / 3], 11), ([60_000.12, 1e-9 + 59_000], 2)]
)
def test_prices_that_need_more_decimals_keep_them(prices: list[float], decimals: int) -> None:
    assert price_decimals(pl.Series(prices * 10)) == decimals


@given(ticks=st.lists(st.integers(1, 10**7), min_size=30, max_size=60), power=st.integers(-12, 6))
def test_decimals_move_with_the_unit(ticks: list[int], power: int) -> None:
    usual, other = (pl.Series([float(f"{n}e{p}") for n in ticks]) for p in (0, power))
    assert volume_decimals(other) == volume_decimals(usual) - power
    if min(ticks) * 1000 > max(ticks) or usual.n_unique() > 20:
        assert price_decimals(other) == price_decimals(usual) - power


@given(st.floats(1e-12, 1e12))
def test_what_people_read_has_eight_significant_digits(value: float) -> None:
    assert float(significant(value).replace(",", "")) == pytest.approx(value, rel=5.1e-8, abs=0)
