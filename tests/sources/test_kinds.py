"""Sources by their kind: what settings choose, a further one from outside, and what each must keep."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, Self

import polars as pl
import pytest

from tests.seats import registered_here
from trading_assets.core.errors import SettingsError, SourceError
from trading_assets.settings import SourceSettings, load_settings
from trading_assets.sources import RAW_COLUMNS, open_source, register, registered
from trading_assets.sources.candles.sample import SampleCandles
from trading_assets.sources.kinds import _SOURCES, Opens
from trading_assets.sources.proofs import prove

START = datetime(2025, 1, 1, tzinfo=UTC)
END = START + timedelta(hours=2)
MARKET = "toy:A/USDT"
MINUTE = timedelta(minutes=1)


class ToySource(SourceSettings):
    """Of a source that only these tests have."""

    kind: Literal["toy"] = "toy"
    price: float = 1.0


class Toy(Opens[ToySource]):
    """One price for ever."""

    section = ToySource
    name, synthetic, retries = "toy", True, 0

    def __init__(self, price: float = 1.0) -> None:
        self.price = price

    @classmethod
    def open(cls, settings: ToySource, *, name: str, market: str, since: datetime) -> Self:
        """Any market."""
        return cls(settings.price)

    def fetch(self, market: str, timeframe: str, start: datetime, end: datetime) -> Iterator[pl.DataFrame]:
        """Pages of fifty."""
        for at in range(0, (end - start) // MINUTE, 50):
            ts = [start + n * MINUTE for n in range(at, min(at + 50, (end - start) // MINUTE))]
            columns = {name: ts if name == "ts" else [self.price] * len(ts) for name in RAW_COLUMNS}
            yield pl.DataFrame(columns, schema=RAW_COLUMNS)


def test_a_source_from_outside_is_chosen_by_its_kind() -> None:
    asked: dict[str, Any] = {"sources": {"mine": {"kind": "toy", "price": 3}}, "models": {}}
    asked["markets"] = {MARKET: {"source": "mine"}}
    with registered_here(_SOURCES):
        register(Toy)
        assert {"toy", "sample", "files", "ccxt", "polygon"} == set(registered())
        source = open_source(load_settings(**asked), MARKET)
        assert prove(source, MARKET, "1m", START, END) == {}
        assert next(iter(source.fetch(MARKET, "1m", START, END)))["close"][0] == 3.0
        with pytest.raises(SettingsError, match="parameters of its own"):
            register(Toy)
        with pytest.raises(SettingsError, match=r"sources\.mine\.prize"):
            load_settings(**(asked | {"sources": {"mine": {"kind": "toy", "prize": 3}}}))
    with pytest.raises(SettingsError, match="no source 'toy'; known: ccxt, files, polygon, sample"):
        load_settings(**asked)


def test_the_sample_keeps_what_a_source_promises() -> None:
    sample = SampleCandles(START, 5, 7)
    assert prove(sample, "sample:SYNA/USDT:USDT", "1m", START + timedelta(days=1), START + timedelta(days=2)) == {}


def refused(_: pl.DataFrame) -> pl.DataFrame:
    raise SourceError("it is down", where="toy", remedy="wait")


@pytest.mark.parametrize(
    ("promise", "change"),
    [
        ("columns", lambda page: page.with_columns(pl.col("ts").dt.cast_time_unit("ms"))),
        ("columns", lambda page: page.with_columns(extra=1)),
        ("range", lambda page: page.with_columns(pl.col("ts") + timedelta(hours=1))),
        ("order", lambda page: page.reverse()),
        ("open", lambda page: page.with_columns(pl.col("ts") + timedelta(seconds=59))),
        ("parts", lambda page: page[1:]),
        ("delivers", refused),
        ("delivers", lambda page: page.select("none")),
        ("delivers", lambda page: page.clear()),
    ],
)
def test_a_source_that_breaks_a_promise_is_found_out(
    promise: str, change: Callable[[pl.DataFrame], pl.DataFrame]
) -> None:
    class Wrong(Toy):
        def fetch(self, market: str, timeframe: str, start: datetime, end: datetime) -> Iterator[pl.DataFrame]:
            yield from (change(page) for page in super().fetch(market, timeframe, start, end))

    assert promise in prove(Wrong(), MARKET, "1m", START, END)
