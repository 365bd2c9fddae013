"""Distances and memory: known answers, SciPy's own, and what must hold of any samples."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy
from scipy import stats

from tests.monitoring.worlds import ar1
from trading_assets.monitoring.histograms import CELLS, Counts, Floats
from trading_assets.monitoring.statistics import (
    autocorrelation_time,
    binned,
    ks,
    ks_of_counts,
    psi,
    psi_of_counts,
)

numbers = st.floats(-1e6, 1e6, width=32)
samples = st_numpy.arrays(np.float64, st.integers(1, 60), elements=st.one_of(numbers, st.sampled_from([0.0, 1.0])))


@given(samples, samples)
def test_the_distance_of_kolmogorov_and_smirnov_is_scipys(old: Floats, new: Floats) -> None:
    assert ks(old, new) == pytest.approx(stats.ks_2samp(old, new).statistic, abs=1e-12)
    assert ks(old, new) == ks(new, old)


@given(samples, samples, st.randoms(use_true_random=False))
def test_the_order_of_rows_tells_nothing(old: Floats, new: Floats, random: object) -> None:
    shuffled = np.random.default_rng(1).permutation(new)
    assert psi(old, new) == psi(old, shuffled)
    assert psi(old, new) >= 0


@given(samples)
def test_a_sample_is_no_distance_from_itself(sample: Floats) -> None:
    assert psi(sample, sample) == pytest.approx(0, abs=1e-12)
    assert ks(sample, sample) == 0


def test_the_index_of_two_known_shares_is_the_sum_by_hand() -> None:
    old, new = np.array([0.5, 0.3, 0.2]), np.array([4_000_000.0, 3_000_000.0, 3_000_000.0])
    by_hand = 0.1 * np.log(0.5 / 0.4) + 0.1 * np.log(0.3 / 0.2)
    assert psi_of_counts(new, old) == pytest.approx(by_hand, abs=1e-5)


def test_of_equal_distributions_the_index_is_chi_square_over_the_rows() -> None:
    rng, rows, bins = np.random.default_rng(3), 400, 10
    old, new = (rng.multinomial(rows, [1 / bins] * bins, 4000) for _ in range(2))
    found = psi_of_counts(new.astype(float), old / rows) * rows / 2
    expected = stats.chi2(bins - 1)
    assert found.mean() == pytest.approx(expected.mean(), rel=0.05)
    assert np.quantile(found, 0.99) == pytest.approx(expected.ppf(0.99), rel=0.07)


def test_counts_in_cells_say_what_the_samples_say() -> None:
    rng = np.random.default_rng(5)
    old, new = rng.standard_normal(4000), rng.standard_normal(300) + 0.4
    edges = np.quantile(old, np.arange(1, CELLS) / CELLS, method="inverted_cdf")
    counts: list[Counts] = [
        np.bincount(np.searchsorted(edges, one, side="right"), minlength=CELLS + 1).astype(np.uint32)
        for one in (old, new)
    ]
    shares = counts[0] / 4000
    found = ks_of_counts(counts[1][:CELLS].astype(float), shares[:CELLS])
    assert ks(old, new) - 1 / CELLS <= found <= ks(old, new)
    assert psi_of_counts(binned(counts[1]), binned(shares)) == pytest.approx(psi(old, new), rel=0.02)


@pytest.mark.parametrize("memory", [0.0, 0.5, 0.9])
def test_the_memory_of_a_known_series_is_found(memory: float) -> None:
    rng = np.random.default_rng(7)
    series = np.stack([ar1(rng, 20_000, memory) for _ in range(5)], axis=1)
    assert autocorrelation_time(series).mean() == pytest.approx((1 + memory) / (1 - memory), rel=0.15)


def test_a_constant_remembers_for_ever_and_a_missing_value_tells_nothing() -> None:
    series = np.random.default_rng(9).standard_normal((400, 2))
    series[:, 1] = 3.0
    whole = autocorrelation_time(series)
    assert np.isinf(whole[1])
    series[7, 0] = np.nan
    assert autocorrelation_time(series)[0] == pytest.approx(whole[0], rel=0.2)
