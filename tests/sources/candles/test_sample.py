"""The synthetic source: the same everywhere, plausible, and clearly marked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import combinations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.examples import examples
from trading_assets.core.errors import SettingsError, SourceError
from trading_assets.settings import Settings
from trading_assets.sources import open_source, split_valid
from trading_assets.sources.candles.sample import MARKETS, SampleCandles

FIRST = datetime(2025, 1, 1, tzinfo=UTC)
DAYS = 150
LAST = FIRST + timedelta(days=DAYS)
SOURCE = SampleCandles(FIRST, DAYS, 7)
SYNA, SYNB, NOISE = MARKETS


def whole(market: str, source: SampleCandles = SOURCE) -> pl.DataFrame:
    return pl.concat(source.fetch(market, "1m", FIRST, LAST))


def good(market: str, source: SampleCandles = SOURCE) -> pl.DataFrame:
    return split_valid(whole(market, source), market=market, timeframe="1m", start=FIRST, end=LAST, now=LAST)[0]


def returns(market: str, every: str) -> np.ndarray:
    closes = good(market).group_by_dynamic("ts", every=every).agg(pl.col("close").last())["close"]
    return closes.log().diff().drop_nulls().to_numpy()


@examples(30)
@given(st.sampled_from(list(MARKETS)), st.integers(-2000, DAYS * 1440), st.integers(1, 60 * 1440))
def test_a_window_alone_gives_the_rows_of_the_whole(market: str, offset: int, length: int) -> None:
    start = FIRST + timedelta(minutes=offset)
    end = start + timedelta(minutes=length)
    pages = list(SOURCE.fetch(market, "1m", start, end))
    expected = whole(market).filter(pl.col("ts").is_between(start, end, closed="left"))
    assert pl.concat([expected.clear(), *pages]).equals(expected, null_equal=True)


def test_the_values_are_those_of_every_other_machine() -> None:
    some = good(SYNA).gather_every(60)
    assert some.select("open", "high", "low", "close", "volume").row(1500) == (195.97, 196.08, 195.8, 196.0, 183.081)
    packed = b"".join(some[name].to_numpy().tobytes() for name in ("open", "high", "low", "close", "volume"))
    assert sha256(packed).hexdigest()[:16] == "22d13477f3e5f498"


def test_a_longer_history_goes_on_where_a_shorter_one_ends() -> None:
    for market in MARKETS:
        shorter = pl.concat(SampleCandles(FIRST, 70, 7).fetch(market, "1m", FIRST, LAST))
        assert whole(market).head(shorter.height).equals(shorter, null_equal=True)


def test_seeds_and_markets_differ() -> None:
    closes = [good(market, SampleCandles(FIRST, 5, seed))["close"][:100] for market in MARKETS for seed in (7, 8)]
    assert all(not a.equals(b) for a, b in combinations(closes, 2))


def test_every_kind_of_blemish_is_there() -> None:
    for market in MARKETS:
        _, bad = split_valid(whole(market), market=market, timeframe="1m", start=FIRST, end=LAST, now=LAST)
        assert set(bad["reason"]) >= {
            "not_finite",
            "non_positive_price",
            "high_too_low",
            "negative_volume",
            "conflicting_duplicate",
        }
        stored = good(market)
        steps = stored["ts"].diff().dt.total_minutes()
        assert (steps > 2).sum() >= 3, "outages"
        assert 1 - stored.height / (DAYS * 1440) < 0.005


def test_the_markets_look_like_markets() -> None:
    for market in MARKETS:
        minute, quarter, day = (returns(market, every) for every in ("1m", "15m", "1d"))
        assert 0.5 < quarter.std() * np.sqrt(365 * 96) < 0.9, "annual volatility"
        assert 0.5 < day.std() * np.sqrt(365) < 1.2
        assert ((minute / minute.std()) ** 4).mean() > 6, "heavy tails"
        sizes = np.abs(quarter)
        assert np.corrcoef(sizes[1:], sizes[:-1])[0, 1] > 0.1, "volatility clusters"
        assert abs(np.corrcoef(minute[1:], minute[:-1])[0, 1]) < 0.02, "no trend from minute to minute"
        volume = good(market)["volume"].log().to_numpy()[1:]
        assert np.corrcoef(volume, np.abs(minute))[0, 1] > 0.2, "volume goes with the size of the moves"


def test_the_noise_market_has_the_flow_but_no_drift() -> None:
    from trading_assets.sources.candles import synthetic

    minutes = DAYS * 1440
    common = {"seed": 7, "market": "any", "first_price": 100.0}
    with_edge = synthetic.simulate(minutes, edge=synthetic.EDGE, **common)  # type: ignore[arg-type]
    without = synthetic.simulate(minutes, edge=0.0, **common)  # type: ignore[arg-type]
    assert np.array_equal(with_edge["volume"], without["volume"]), "volume tells nothing of the edge"
    assert not np.array_equal(with_edge["close"], without["close"])
    assert MARKETS[NOISE].edge == 0.0


def test_the_noise_market_is_a_fair_game() -> None:
    """Over many seeds the mean of the final price is the first price, and past returns do not tell the next ones."""
    from trading_assets.sources.candles import synthetic

    ends, ties = [], []
    for seed in range(40):
        prices = synthetic.simulate(20 * 1440, seed=seed, market=NOISE, first_price=100.0, edge=0.0)["close"]
        ends.append(prices[-1] / 100.0 - 1)
        hours = np.diff(np.log(prices[::60]))
        ties.append(np.corrcoef(hours[1:], hours[:-1])[0, 1])
    for values in (ends, ties):
        assert abs(np.mean(values)) < 3 * np.std(values) / np.sqrt(len(values))


def test_unknown_markets_and_timeframes_are_refused_by_name(settings: Settings) -> None:
    with pytest.raises(SourceError, match=r"sample:BTC/USDT: .*it has sample:SYNA/USDT:USDT"):
        list(SOURCE.fetch("sample:BTC/USDT", "1m", FIRST, LAST))
    with pytest.raises(SourceError, match=r"has 1m candles, not 5m; set the market's timeframe to 1m"):
        list(SOURCE.fetch(SYNA, "5m", FIRST, LAST))
    with pytest.raises(SettingsError, match="the range is empty"):
        list(SOURCE.fetch(SYNA, "1m", LAST, FIRST))
    with pytest.raises(SettingsError, match="has no time zone"):
        list(SOURCE.fetch(SYNA, "1m", FIRST.replace(tzinfo=None), LAST))
    with pytest.raises(SettingsError, match="no such market in the settings"):
        open_source(settings, "sample:OTHER/USDT")


def test_the_settings_open_it_and_it_says_that_it_is_synthetic(settings: Settings) -> None:
    source = open_source(settings, SYNA)
    assert source.synthetic
    assert source == SampleCandles(settings.history_start, 150, settings.sources["sample"].seed)  # type: ignore[union-attr]


def test_a_market_that_the_sample_lacks_is_refused_when_opened(settings: Settings) -> None:
    other = settings.markets[SYNA]
    changed = settings.model_copy(update={"markets": {**settings.markets, "sample:BTC/USDT": other}})
    with pytest.raises(SourceError, match=r"sample:BTC/USDT: the synthetic sample does not know this market"):
        open_source(changed, "sample:BTC/USDT")
