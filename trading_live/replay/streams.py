"""Trades and order books of the local exchange: SYNTHETIC, made from the finest candles, the same ones every time.

Each candle becomes trades whose open, high, low, close and volume are the candle's, exactly: low before high where it
rose, high before low where it fell, the rest in between. The book follows the last trade. Both are functions of the
symbol and the instant alone, so that a replay from another start sends the same trades under the same ids.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Set
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import numpy as np

from trading_live.replay import book
from trading_live.replay.tape import Instrument, Series

TRADE_STEP_MS: Final = 3_000
"""One trade in each of these slots."""

TRADES: Final = "aggtrade"
BOOK: Final = "depth"
WHOLE_BOOK: Final = "book"
"""Of a venue that sends books whole."""


@dataclass(frozen=True, slots=True)
class Sent:
    """One message of a stream: when it is sent, under which name, and what it says."""

    at_ms: int
    stream: str
    message: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Trades:
    """The trades of one candle: times in milliseconds, prices in ticks, sizes in lots."""

    ids: np.ndarray[Any, np.dtype[np.int64]]
    times: np.ndarray[Any, np.dtype[np.int64]]
    prices: np.ndarray[Any, np.dtype[np.int64]]
    lots: np.ndarray[Any, np.dtype[np.int64]]
    buyer_maker: np.ndarray[Any, np.dtype[np.bool_]]


def within(one: Instrument, start_ms: int, end_ms: int, streams: Set[str]) -> list[Sent]:
    """The messages of a symbol's trade and book streams in [start, end), in the order of sending.

    Parameters
    ----------
    one
        The replayed market.
    start_ms, end_ms
        Milliseconds of the replayed clock.
    streams
        What is subscribed to, in lower case; nothing else is made.
    """
    symbol = one.symbol.lower()
    wanted = [name for name in streams if name.startswith(f"{symbol}@{BOOK}")]
    messages: list[Sent] = []
    if f"{symbol}@{TRADES}" in streams:
        messages += _trade_messages(one, start_ms, end_ms, f"{symbol}@{TRADES}")
    if wanted:
        updates = list(book_updates(one, start_ms, end_ms))
        messages += [Sent(at, name, update) for at, update in updates for name in wanted]
    if whole := [name for name in streams if name.startswith(f"{symbol}@{WHOLE_BOOK}")]:
        for _, _, at in _updates(one, start_ms, end_ms):
            message = {"e": WHOLE_BOOK, "s": one.symbol} | book.snapshot(one, at, levels_at(one, at), book.LEVELS)
            messages += [Sent(at, name, message) for name in whole]
    return sorted(messages, key=lambda sent: sent.at_ms)


def _trade_messages(one: Instrument, start_ms: int, end_ms: int, stream: str) -> Iterator[Sent]:
    price, size = one.price_decimals, one.volume_decimals
    for index in _bars(finest(one), start_ms, end_ms):
        made = trades_of(one, index)
        for number, at, ticks, lots, maker in zip(
            made.ids.tolist(),
            made.times.tolist(),
            made.prices.tolist(),
            made.lots.tolist(),
            made.buyer_maker.tolist(),
            strict=True,
        ):
            if start_ms <= at < end_ms:
                message = {"e": "aggTrade", "E": at, "s": one.symbol, "a": number, "p": book.decimal(ticks, price)}
                message |= {"q": book.decimal(lots, size), "f": number, "l": number, "T": at, "m": maker}
                yield Sent(at, stream, message)


def book_updates(one: Instrument, start_ms: int, end_ms: int) -> Iterator[tuple[int, dict[str, Any]]]:
    """The changes of the book in [start, end), as ``depthUpdate`` events with the numbers that join them."""
    for series, index, at in _updates(one, start_ms, end_ms):
        before = _update_before(series, index, at)
        yield at, book.update(one, at, levels_at(one, at), before, levels_at(one, before))


def _updates(one: Instrument, start_ms: int, end_ms: int) -> Iterator[tuple[Series, int, int]]:
    """Series, candle and instant of each change of the book in [start, end)."""
    series = finest(one)
    for index in _bars(series, start_ms, end_ms):
        for at in range(int(series.open_ms[index]) + book.STEP_MS - 1, int(series.close_ms[index]) + 1, book.STEP_MS):
            if start_ms <= at < end_ms:
                yield series, index, at


def snapshot(one: Instrument, now_ms: int, limit: int) -> dict[str, Any]:
    """``GET /fapi/v1/depth``: the book as of the newest update before the replayed clock."""
    series = finest(one)
    newest = max(int(np.searchsorted(series.open_ms, now_ms, side="left")) - 1, 0)
    opened, closed = int(series.open_ms[newest]), int(series.close_ms[newest])
    whole = min(now_ms - 1, closed) - opened + 1
    at = opened + whole // book.STEP_MS * book.STEP_MS - 1
    if at < opened:
        at = _update_before(series, newest, opened + book.STEP_MS - 1)
    return book.snapshot(one, at, levels_at(one, at), limit)


def finest(one: Instrument) -> Series:
    """The candles that trades and books are made from."""
    return next(iter(one.series.values()))


def levels_at(one: Instrument, at_ms: int) -> book.Levels:
    """The book right after the update at an instant."""
    series = finest(one)
    index = max(int(np.searchsorted(series.open_ms, at_ms, side="right")) - 1, 0)
    made = trades_of(one, index)
    number = int(np.searchsorted(made.times, at_ms, side="right")) - 1
    ticks = int(made.prices[number]) if number >= 0 else _ticks(one, index)[0]
    return book.levels(seed_of(one.symbol), ticks, at_ms // book.STEP_MS)


def _update_before(series: Series, index: int, at_ms: int) -> int:
    """When the book changed last before the update at an instant; minutes without candles have no updates."""
    earlier = at_ms - book.STEP_MS
    if earlier >= series.open_ms[index] or index == 0:
        return earlier
    return int(series.close_ms[index - 1])


def _bars(series: Series, start_ms: int, end_ms: int) -> range:
    first = int(np.searchsorted(series.close_ms, start_ms, side="left"))
    return range(first, max(int(np.searchsorted(series.open_ms, end_ms, side="left")), first))


def trades_of(one: Instrument, index: int) -> Trades:
    """The trades of one candle of the finest series; none where nothing was traded."""
    series = finest(one)
    opened, length = int(series.open_ms[index]), int(series.close_ms[index] + 1 - series.open_ms[index])
    return _trades(one.symbol, opened, length, _ticks(one, index), series.lots(index))


@lru_cache(maxsize=256)
def _trades(symbol: str, open_ms: int, length_ms: int, path: tuple[int, int, int, int], lots: int) -> Trades:
    """Split a candle of (open, high, low, close) ticks and a volume of lots into trades that make it again."""
    slots = length_ms // TRADE_STEP_MS
    count = min(slots, lots)
    rng = np.random.default_rng([seed_of(symbol), open_ms])
    chosen = np.arange(slots) if count == slots else np.sort(rng.choice(slots, count, replace=False))
    prices = _path(rng, path, count)
    sizes = np.ones(count, dtype=np.int64)
    if count:
        sizes += rng.multinomial(lots - count, rng.dirichlet(np.full(count, 2.0)))
    steps = np.sign(np.diff(prices, prepend=path[0]))
    maker = np.where(steps == 0, rng.random(count) < 0.5, steps < 0)
    return Trades(
        ids=open_ms // TRADE_STEP_MS + chosen,
        times=open_ms + chosen * TRADE_STEP_MS + rng.integers(0, TRADE_STEP_MS, count),
        prices=prices,
        lots=sizes,
        buyer_maker=maker.astype(np.bool_),
    )


def _path(rng: np.random.Generator, path: tuple[int, int, int, int], count: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Prices from open to close over both extremes; a candle of fewer trades than that keeps open and close."""
    first, high, low, last = path
    turns = [first, low, high, last] if last >= first else [first, high, low, last]
    if count < len(turns):
        return np.array([first, *([last] * (count - 1))][:count], dtype=np.int64)
    at = np.sort(rng.choice(np.arange(1, count - 1), 2, replace=False))
    line = np.interp(np.arange(count), [0, *at, count - 1], turns)
    noise = rng.normal(0, max(high - low, 1) * 0.05, count)
    noise[[0, *at, count - 1]] = 0
    return np.clip(np.rint(line + noise), low, high).astype(np.int64)


def _ticks(one: Instrument, index: int) -> tuple[int, int, int, int]:
    first, high, low, last = finest(one).ticks(index)
    return first, high, low, last


@lru_cache(maxsize=256)
def seed_of(symbol: str) -> int:
    """A number of the symbol's own."""
    return zlib.crc32(symbol.encode())
