from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from trading_assets.core.candles import TS
from trading_assets.core.errors import InvalidFrame
from trading_assets.validation import beats

START = datetime(2024, 1, 1, tzinfo=UTC)


def times(rows: int) -> pl.Series:
    return pl.Series([START + timedelta(hours=number) for number in range(rows)], dtype=TS)


def world(seed: int, rows: int = 3000, overlap: int = 24) -> tuple[np.ndarray, np.ndarray, np.random.Generator]:
    """True probabilities, and outcomes of which neighbours share most of their luck."""
    rng = np.random.default_rng(seed)
    truth = rng.uniform(0.2, 0.6, rows)
    luck = np.convolve(rng.normal(size=rows + overlap), np.ones(overlap) / math.sqrt(overlap), "valid")[:rows]
    rank = np.argsort(np.argsort(luck)) / rows
    return truth, (rank < truth).astype(float), rng


def test_the_truth_beats_what_exaggerates_it() -> None:
    truth, hit, _ = world(1)
    found = beats(np.clip(3 * (truth - 0.4) + 0.4, 0, 1), truth, hit, times(len(hit)))
    assert found
    assert found.before == pytest.approx(float(np.mean((np.clip(3 * (truth - 0.4) + 0.4, 0, 1) - hit) ** 2)))
    assert found.low < found.gain < found.high


def test_equal_probabilities_do_not_beat_one_another() -> None:
    truth, hit, _ = world(1)
    assert not beats(truth, truth, hit, times(len(hit)))


def test_noise_passes_for_a_gain_about_once_in_forty() -> None:
    passed = 0
    for seed in range(60):
        truth, hit, rng = world(seed)
        one, other = (np.clip(truth + rng.normal(0, 0.05, len(truth)), 0, 1) for _ in range(2))
        passed += bool(beats(one, other, hit, times(len(hit)), resamples=100))
    assert passed <= 5  # more in less than one of a hundred such tests


def test_the_order_of_rows_and_further_markets_at_one_time_change_little() -> None:
    truth, hit, rng = world(3)
    blurred = np.full_like(truth, truth.mean())
    shuffled = rng.permutation(len(hit))
    whole = beats(blurred, truth, hit, times(len(hit)))
    assert beats(blurred[shuffled], truth[shuffled], hit[shuffled], times(len(hit))[shuffled]).low == pytest.approx(
        whole.low
    )
    twice = beats(
        *(np.concatenate([one, one]) for one in (blurred, truth, hit)), pl.concat([times(len(hit))] * 2)
    )  # the same market under two names is no further evidence
    assert twice.low == pytest.approx(whole.low)


def test_too_little_cannot_tell() -> None:
    found = beats([0.9] * 9, [0.1] * 9, [0.0] * 9, times(9))
    assert not found
    assert math.isnan(found.low)
    assert "too little" in str(found)


def test_columns_of_other_lengths_are_refused() -> None:
    with pytest.raises(InvalidFrame, match="cannot be compared"):
        beats([0.5], [0.5, 0.5], [1.0], times(1))
    with pytest.raises(InvalidFrame, match="not finite"):
        beats([math.nan], [0.5], [1.0], times(1))
