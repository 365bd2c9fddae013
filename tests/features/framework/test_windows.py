"""Each rolling function against the plain formula on each window."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.lib.stride_tricks import sliding_window_view

from trading_assets.features.framework import windows

pytestmark = pytest.mark.filterwarnings("ignore:invalid value encountered")

WINDOWS = st.integers(1, 70)
SERIES = st.lists(st.floats(-1e6, 1e6, allow_subnormal=False), min_size=1, max_size=150).map(np.array)


def _expect(result: np.ndarray, values: np.ndarray, window: int, formula) -> None:
    assert len(result) == len(values)
    assert np.isnan(result[: window - 1]).all()
    if len(values) >= window:
        views = sliding_window_view(values, window)
        np.testing.assert_allclose(result[window - 1 :], [formula(view) for view in views], rtol=1e-9, atol=1e-5)


@given(values=SERIES, window=WINDOWS)
def test_sums_and_extremes(values, window):
    _expect(windows.rolling_sum(values, window), values, window, np.sum)
    _expect(windows.rolling_mean(values, window), values, window, np.mean)
    _expect(windows.rolling_max(values, window), values, window, np.max)
    _expect(windows.rolling_min(values, window), values, window, np.min)
    _expect(windows.bars_since_max(values, window), values, window, lambda view: np.argmax(view[::-1]))


@given(values=SERIES, window=st.integers(2, 70))
def test_variance_and_line(values, window):
    time = np.arange(window)
    _expect(windows.rolling_var(values, window), values, window, np.var)
    slope, r2 = windows.rolling_line(values, window)
    _expect(slope, values, window, lambda view: np.polyfit(time, view, 1)[0])
    assert ((r2 >= 0) & (r2 <= 1) | np.isnan(r2)).all()


def test_r2_of_an_ordinary_series():
    values = np.random.default_rng(1).normal(size=300)
    expected = [np.corrcoef(np.arange(50), values[end - 50 : end])[0, 1] ** 2 for end in range(50, 301)]
    np.testing.assert_allclose(windows.rolling_line(values, 50)[1][49:], expected, rtol=1e-9)


def test_variance_from_sums_is_the_variance_and_zero_for_equal_values():
    values = np.concatenate([np.random.default_rng(1).lognormal(3, 2, 300), np.full(60, 0.1)])
    variance = windows.variance_from_sums(windows.rolling_sum(values, 50), windows.rolling_sum(values**2, 50), 50)
    np.testing.assert_allclose(variance[49:300], windows.rolling_var(values, 50)[49:300], rtol=1e-10)
    assert variance[-1] == 0


@given(value=st.floats(1e-6, 1e6), window=st.integers(2, 100))
def test_equal_values_have_exactly_no_variance_whatever_came_before(value, window):
    values = np.concatenate([np.geomspace(1, 1e9, 40), np.full(150, value)])
    assert windows.rolling_var(values, window)[-1] == 0
    assert windows.rolling_line(values, window)[0][-1] == 0
    assert windows.rolling_line(values, window)[1][-1] == 0


@given(values=SERIES, alpha=st.floats(0.02, 0.9), memory=WINDOWS)
def test_the_exponential_mean_weighs_its_memory_alone(values, alpha, memory):
    weights = (1 - alpha) ** np.arange(memory)[::-1]
    _expect(windows.ewma(values, alpha, memory), values, memory, lambda view: view @ weights / weights.sum())


@pytest.mark.parametrize("bars", [9, 21, 50, 100])
def test_the_memory_is_long_enough_for_the_textbook_filter(bars):
    values = np.random.default_rng(bars).normal(100, 1, 5_000)
    alpha = 2 / (bars + 1)
    mean = values[0]
    for value in values[1:]:
        mean += alpha * (value - mean)
    assert windows.ewma(values, alpha)[-1] == pytest.approx(mean, rel=1e-14)
    assert (1 - alpha) ** windows.ewma_memory(alpha) < 1e-15


@given(values=SERIES, window=WINDOWS, start=st.integers(0, 149))
def test_any_frame_that_holds_the_window_gives_the_same_bits(values, window, start):
    part = values[start:]
    for function in (windows.rolling_sum, windows.rolling_var, lambda x, w: windows.ewma(x, 0.1, w)):
        whole, alone = function(values, window), function(part, window)
        np.testing.assert_array_equal(whole[start + window - 1 :], alone[window - 1 :])


def test_the_share_below_counts_the_sampled_values():
    values = np.random.default_rng(3).normal(size=200)
    share = windows.rolling_share_below(values, 32, 8)
    assert np.isnan(share[:32]).all()
    assert share[100] == np.mean([values[100 - age] < values[100] for age in (8, 16, 24, 32)])
    values[40] = np.nan
    assert np.isnan(windows.rolling_share_below(values, 32, 8)[[*range(32), 72]]).all()  # whose window begins there


def test_whole_numbers_and_every_second_bar_are_taken_as_they_are():
    counts, floats = np.arange(1, 101), np.arange(1.0, 101.0)
    np.testing.assert_array_equal(windows.ratio(counts, counts[::-1], 0.0), floats / floats[::-1])
    np.testing.assert_array_equal(windows.rolling_sum(counts[::2], 3), windows.rolling_sum(floats[::2].copy(), 3))
    np.testing.assert_array_equal(windows.shift(counts, 2), windows.shift(floats, 2))


def test_what_has_no_meaning_is_refused():
    ten, nine = np.ones(10), np.ones(9)
    with pytest.raises(ValueError, match="shift by -1 bars looks ahead"):
        windows.shift(ten, -1)
    with pytest.raises(ValueError, match="a window of 0 bars"):
        windows.rolling_sum(ten, 0)
    for work in (
        lambda: windows.ratio(ten, nine, 0.0),
        lambda: windows.variance_from_sums(ten, nine, 5),
        lambda: windows.mean_absolute_deviation(ten, nine, 5),
        lambda: windows.newest(ten, ten > 0, 5, nine),
    ):
        with pytest.raises(ValueError, match="different lengths"):
            work()
    with pytest.raises(ValueError, match="a code is not one of"):
        windows.rolling_sum_by_count(np.tile([0, 0.25], 10), 3, 8, np.zeros(9))


@given(values=SERIES, bars=st.integers(0, 160))
def test_a_shift_takes_the_value_of_so_many_bars_ago(values, bars):
    shifted = windows.shift(values, bars)
    assert np.isnan(shifted[:bars]).all()
    np.testing.assert_array_equal(shifted[bars:], values[: max(len(values) - bars, 0)])


def test_the_absolute_deviation_is_around_the_given_mean():
    values = np.random.default_rng(4).normal(size=100)
    deviation = windows.mean_absolute_deviation(values, windows.rolling_mean(values, 20), 20)
    assert deviation[60] == pytest.approx(np.mean(np.abs(values[41:61] - values[41:61].mean())))


@given(values=SERIES, window=WINDOWS, data=st.data())
def test_the_newest_valid_value_and_its_age(values, window, data):
    valid = np.array(data.draw(st.lists(st.booleans(), min_size=len(values), max_size=len(values))))
    value, age = windows.newest(values, valid, window, -values)
    for row in range(len(values)):
        ages = [bars for bars in range(min(window, row + 1)) if valid[row - bars]]
        assert age[row] == (ages[0] if ages else window)
        assert value[row] == (values[row - ages[0]] if ages else -values[row])


def test_a_sum_by_count_adds_what_each_class_is_worth():
    codes = np.array([0.0, 0, 1, 2, 1, np.nan, 0, 0, 2, 2])
    worth = np.array([100.0, 1, 20, 3])
    result = windows.rolling_sum_by_count(codes, 3, 3, worth)
    np.testing.assert_array_equal(result, [np.nan] * 2 + [121, 3, 121] + [np.nan] * 3 + [121, 121])
    with pytest.raises(ValueError, match="do not fit"):
        windows.rolling_sum_by_count(codes, 10, 96, worth)
