"""Profit must come from ranking returns: probabilities that rank nothing have an interval around 0."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt
import polars as pl
import pytest
from scipy.stats import pearsonr, rankdata

from trading_assets.core.errors import InvalidFrame
from trading_assets.validation import information_coefficient
from trading_assets.validation.long_run import long_run_error

START = datetime(2025, 3, 1, tzinfo=UTC)
Array = npt.NDArray[np.float64]


def predictions(probability: Array, value: Array, *, a_day: int = 24) -> pl.DataFrame:
    """Predictions at equal distances."""
    known = pl.Series(
        [START + i * timedelta(days=1) / a_day for i in range(len(value))], dtype=pl.Datetime("us", "UTC")
    )
    return pl.DataFrame({"probability": probability, "return": value, "known_at": known})


def test_the_coefficient_is_the_correlation_of_ranks_with_returns() -> None:
    rng = np.random.default_rng(1)
    probability, value = np.round(rng.random(24 * 15), 1), rng.normal(size=24 * 15)  # with ties
    found = information_coefficient(predictions(probability, value))
    assert found.estimate == pytest.approx(pearsonr(rankdata(probability), value).statistic, abs=1e-12)
    assert found.low < found.estimate < found.high
    assert found == information_coefficient(predictions(probability, value)), "the same rows, the same interval"


def test_known_answers_by_hand() -> None:
    line = np.tile(np.arange(24.0), 12)
    rising = information_coefficient(predictions(line, 3 * line - 7))
    assert rising.estimate == pytest.approx(1, abs=1e-12)
    assert rising.low == pytest.approx(1, abs=1e-9)
    assert information_coefficient(predictions(line, -line)).high == pytest.approx(-1, abs=1e-9)
    # ranks 1, 2, 3, 4 against returns 1, 3, 2, 4, day by day: covariance 1, both variances 5/4
    four = information_coefficient(predictions(np.tile([0.1, 0.2, 0.3, 0.4], 10), np.tile([1.0, 3, 2, 4], 10), a_day=4))
    assert (four.estimate, four.low, four.high) == pytest.approx((0.8, 0.8, 0.8), abs=1e-9)


def lively(rng: np.random.Generator, days: int) -> tuple[Array, Array, Array]:
    """Volatility that lasts a day, and fair barriers: up 2 with one chance against down 1 with two, or neither."""
    volatility = np.repeat(rng.random(days), 24)
    reached = rng.random(days * 24) < volatility
    value = np.where(reached, np.where(rng.random(days * 24) < 1 / 3, 2.0, -1.0), 0.0)
    return volatility, value, (value == 2.0).astype(float)


def test_telling_when_a_market_is_lively_is_no_skill_although_its_area_under_the_curve_is_high() -> None:
    from sklearn.metrics import roc_auc_score

    rng, sure = np.random.default_rng(2), 0
    for _ in range(60):
        volatility, value, hit = lively(rng, 60)
        assert roc_auc_score(hit, volatility) > 0.6
        sure += information_coefficient(predictions(volatility, value)).low > 0
    assert sure <= 5  # 1 or 2 expected


def test_overlapping_outcomes_do_not_make_an_interval_narrow() -> None:
    """Sixty days whose whole days share one return: 24 times the rows, no more to know."""
    rng, wrong = np.random.default_rng(3), 0
    for _ in range(100):
        daily, score = rng.normal(size=60), rng.random(60)
        found = information_coefficient(
            predictions(np.repeat(score, 24) + rng.random(1440) / 100, np.repeat(daily, 24))
        )
        wrong += found.low > 0 or found.high < 0
    assert wrong <= 10  # 5 expected; counted row by row it would be 71


def test_that_a_rising_market_pays_the_long_ones_is_no_skill() -> None:
    rng = np.random.default_rng(3)
    rows = 24 * 60
    up, said = rng.normal(0.3, 1, rows), rng.random(rows) / 100
    long = predictions(0.6 + said, up).with_columns(side=pl.lit(1))
    short = predictions(0.4 + said[::-1], -up).with_columns(side=pl.lit(-1))
    pooled = information_coefficient(pl.concat([long, short]).drop("side"))
    assert pooled.low > 0.2, "what the drift alone would make"
    found = information_coefficient(pl.concat([long, short]))
    assert found.low < 0 < found.high
    assert information_coefficient(long).estimate == pytest.approx(
        information_coefficient(long.drop("side")).estimate, abs=1e-12
    )


@pytest.mark.parametrize("constant", ["probability", "return"])
def test_what_does_not_vary_has_no_skill_to_measure(constant: str) -> None:
    rng = np.random.default_rng(5)
    frame = predictions(rng.random(480), rng.normal(size=480)).with_columns(pl.lit(0.1).alias(constant))
    found = information_coefficient(frame)
    assert math.isnan(found.estimate)
    assert math.isnan(found.low), "and a number that is missing passes no gate"


def test_too_few_days_and_infinite_returns_are_refused() -> None:
    rng = np.random.default_rng(6)
    frame = predictions(rng.random(240), rng.normal(size=240))
    information_coefficient(frame)
    with pytest.raises(InvalidFrame, match="9 days are too few"):
        information_coefficient(frame.head(216))
    with pytest.raises(InvalidFrame, match="1 of 240 values of return are not finite"):
        information_coefficient(frame.with_columns(pl.Series("return", [math.inf, *frame["return"][1:]])))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda frame: frame.drop("return"), "no column return"),
        (
            lambda frame: frame.with_columns(pl.col("known_at").dt.replace_time_zone(None)),
            "known_at is Datetime.*make it",
        ),
        (
            lambda frame: frame.with_columns(pl.col("probability").cast(pl.String)),
            "probability is String; make it Float64",
        ),
    ],
)
def test_columns_that_are_missing_or_of_another_type_are_refused(spoil, message) -> None:
    rng = np.random.default_rng(6)
    with pytest.raises(InvalidFrame, match=message):
        information_coefficient(spoil(predictions(rng.random(240), rng.normal(size=240))))


@pytest.mark.slow
def test_probabilities_that_stay_high_for_weeks_pass_as_rarely_as_the_interval_says() -> None:
    """A level a month, as of a model that is trained anew each month, against returns that remember two days."""
    rng, worlds, wrong = np.random.default_rng(11), 600, 0
    for _ in range(worlds):
        value = np.repeat(np.convolve(rng.normal(size=61), (0.7, 0.7), "valid"), 4) + rng.normal(size=240)
        level = np.repeat(rng.normal(size=2), 120)
        found = information_coefficient(predictions(level + 0.5 * rng.normal(size=240), value, a_day=4))
        wrong += found.low > 0 or found.high < 0
    assert wrong / worlds < 0.08, "5 % expected; with days drawn in blocks it is 10 %"


def test_the_error_of_a_mean_is_that_of_independent_values_or_of_values_that_remember() -> None:
    rng = np.random.default_rng(12)
    shocks = rng.normal(size=(2000, 400))
    remembering = np.cumsum(shocks, axis=1)
    remembering[:, 8:] -= np.cumsum(shocks, axis=1)[:, :-8]  # sums of eight
    for series, true in ((shocks, 1 / 20), (remembering[:, 8:], 8 / math.sqrt(392))):
        errors = [long_run_error(row)[0] for row in series[:400]]
        assert math.sqrt(np.mean(np.square(errors))) == pytest.approx(true, rel=0.06)
    assert long_run_error(shocks[0])[1] == int(0.4 * 400 ** (2 / 3))
