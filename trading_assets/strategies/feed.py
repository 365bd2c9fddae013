"""Whether a bar of the venue can be believed: quarantine of single markets, and silence. No engine, no I/O."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from statistics import median
from typing import Final, Protocol

from trading_assets.core.candles import timeframe_delta
from trading_assets.settings import FeedSettings
from trading_assets.strategies.signals import ClosedBar

Tell = Callable[[str, str], None]
"""(event, detail): into the node's journal."""

_WALL_SILENCE_S: Final = 5.0
"""A fast replay sends the next bar long before: below this, silence is only the time that a message takes."""

_MEASURED: Final = timeframe_delta("15m")
_SEEDS: Final = 5
SILENT: Final = "silent"
"""How the reason of a market begins whose bars are overdue; every other one speaks of bars that came."""


class Clock(Protocol):
    """What time it is at the venue, as far as this machine can tell.

    Attributes
    ----------
    remote
        Whether looking costs a request, so that only a bar that does not follow its predecessor is compared with it.
    """

    remote: bool

    def now(self) -> datetime | None:
        """The time; None where it cannot be told."""
        ...


@dataclass(slots=True)
class _Market:
    """What is known of one market's feed."""

    close: float | None = None
    reason: str = ""
    held: str | None = None
    agreeing: int = 0
    level: float | None = None
    level_bars: int = 0
    ends: dict[str, datetime] = field(default_factory=dict)
    heard_s: dict[str, float] = field(default_factory=dict)
    silent: dict[str, str] = field(default_factory=dict)


class FeedQuarantine:
    """Sets a market apart whose bars cannot be believed, and takes it back when they agree again.

    A bar is implausible where its prices or its volume are impossible, where it ends in the future, or where one of its
    prices is farther from the last plausible close than :func:`largest_move_pct`. Nothing is decided, closed or
    reckoned from such a bar. A market in quarantine is not entered; stop, target and expiry of its open position stay
    in force. It comes back when ``agreeing_bars`` bars in a row agree with the last plausible close, or with each other
    at a new level at most ``max_step_pct`` away: a step beyond (a split, a redenomination) is left to a person.

    Parameters
    ----------
    limits
        The settings ``node.feed``.
    clock
        The venue's time.
    tell
        (event, detail): told of each quarantine and silence, and of its end.
    monotonic
        Seconds that only grow.
    """

    def __init__(self, limits: FeedSettings, clock: Clock, tell: Tell, monotonic: Callable[[], float]) -> None:
        self._limits = limits
        self._clock = clock
        self.tell = tell
        self._monotonic = monotonic
        self._markets: dict[str, _Market] = {}

    # -- asked ----------------------------------------------------------------------------------------------------

    def refusal(self, market: str) -> str | None:
        """Why nothing may be entered on a market; None where its feed is trusted."""
        one = self._markets.get(market)
        if one is None:
            return None
        return one.reason or one.held or next(iter(one.silent.values()), None)

    def reasons(self) -> dict[str, str]:
        """Market -> why its feed is not trusted."""
        return {market: why for market in sorted(self._markets) if (why := self.refusal(market)) is not None}

    def is_silent(self, market: str) -> bool:
        """Whether bars of a market are overdue."""
        return market in self._markets and bool(self._markets[market].silent)

    # -- bars -----------------------------------------------------------------------------------------------------

    def believe(
        self, bars: Sequence[ClosedBar], *, before: ClosedBar | None = None, after: ClosedBar | None = None
    ) -> list[ClosedBar]:
        """The bars of a market's history that can be used; the newest close is what its next bar is compared with.

        A history is what the venue says in the end: a jump in it that lasts is a fact. What is left out are impossible
        bars, and bars that are implausible from both sides: after the one before, and before the one after.

        Parameters
        ----------
        bars
            In order of time.
        before, after
            The bars around them that are known already.
        """
        possible = [bar for bar in bars if impossible(bar) is None]
        around = [*([before] if before else []), *possible, *([after] if after else [])]
        spikes = {bar.ts for one in _windows(around) if self._is_spike(*one) for bar in one[1:2]}
        kept = [bar for bar in possible if bar.ts not in spikes]
        if len(kept) < len(bars):
            first = next(bar for bar in bars if bar.ts in spikes or impossible(bar))
            why = impossible(first) or f"{first.low:g} to {first.high:g} between bars of another level"
            count = len(bars) - len(kept)
            self.tell("history refused", f"{first.market}: {count} bars; {first.ts:%Y-%m-%d %H:%M}: {why}")
        if kept and (one := self._of(kept[-1].market)).close is None:
            one.close = median(bar.close for bar in kept[-_SEEDS:])
        return kept

    def hold(self, market: str, why: str | None) -> None:
        """Set a market apart for a reason that bars do not end; None ends it."""
        one = self._of(market)
        if why is not None and why != one.held:
            self.tell("feed quarantined", f"{market}: {why}")
        elif why is None and one.held is not None:
            self.tell("feed trusted again", f"{market}: no longer {one.held}")
        one.held = why

    def is_held(self, market: str) -> bool:
        """Whether a market is set apart by :meth:`hold`."""
        return market in self._markets and self._markets[market].held is not None

    def overdue_s(self) -> dict[str, float]:
        """Market -> how long its bar is overdue: seconds where it is silent, 0 elsewhere."""
        silent = {market: one for market, one in self._markets.items() if one.silent}
        now = self._clock.now() if silent else None
        found = dict.fromkeys(self._markets, 0.0)
        if now is None:
            return found
        for market, one in silent.items():
            due = min(one.ends[timeframe] + timeframe_delta(timeframe) for timeframe in one.silent)
            found[market] = max((now - due).total_seconds(), self._limits.max_silence_s)
        return found

    def end_of(self, market: str, timeframe: str) -> datetime | None:
        """When the newest bar of a market ended, or when it was first expected."""
        return self._markets[market].ends.get(timeframe) if market in self._markets else None

    def admits(self, bar: ClosedBar) -> bool:
        """Whether a bar may be used. Call it once for each bar, in the order of their coming."""
        one = self._of(bar.market)
        why = impossible(bar) or self._ahead(bar, one)
        if why is not None:
            one.agreeing, one.level = 0, None
            self._set_apart(bar.market, one, f"implausible {bar.timeframe} bar of {bar.ts:%Y-%m-%d %H:%M}: {why}")
            return False
        self._heard(bar, one)
        if one.close is not None and (move := move_pct(bar, one.close)) > self._largest_move(bar):
            return self._at_new_level(bar, one, move)
        one.close, one.level = bar.close, None
        if one.reason:
            one.agreeing += 1
            if one.agreeing >= self._limits.agreeing_bars:
                self._take_back(bar.market, one, f"{one.agreeing} bars agree")
        return True

    def _at_new_level(self, bar: ClosedBar, one: _Market, move: float) -> bool:
        """Whether enough bars agree with each other on a level that is not too far away."""
        assert one.close is not None
        follows = one.level is not None and move_pct(bar, one.level) <= self._largest_move(bar)
        one.level_bars = one.level_bars + 1 if follows else 1
        one.agreeing, one.level = 0, bar.close
        step = 100 * (max(bar.close / one.close, one.close / bar.close) - 1)
        if one.level_bars >= self._limits.agreeing_bars and step <= self._limits.max_step_pct:
            one.close, one.level = bar.close, None
            self._take_back(bar.market, one, f"{one.level_bars} bars agree on the new level {bar.close:g}")
            return True
        lasting = ""
        if one.level_bars >= self._limits.agreeing_bars:
            lasting = f"; the new level lasts and is {step:,.0f} % away, limit {self._limits.max_step_pct:g} %"
        why = (
            f"implausible {bar.timeframe} bar of {bar.ts:%Y-%m-%d %H:%M}: {bar.low:g} to {bar.high:g} is {move:,.0f} % "
            f"from the last close {one.close:g}, limit {round(self._largest_move(bar), 1):g} %{lasting}"
        )
        if not one.reason or (lasting and "the new level lasts" not in one.reason):
            self._set_apart(bar.market, one, why, again=True)
        return False

    def _ahead(self, bar: ClosedBar, one: _Market) -> str | None:
        last = one.ends.get(bar.timeframe)
        if self._clock.remote and last is not None and bar.known_at <= last + timeframe_delta(bar.timeframe):
            return None
        now = self._clock.now()
        ahead = (bar.known_at - now).total_seconds() if now is not None else 0.0
        if ahead <= self._limits.clock_tolerance_s:
            return None
        return (
            f"it ends {ahead:,.0f} s in the future, limit {self._limits.clock_tolerance_s:g} s: "
            "either the bar or this machine's clock is wrong"
        )

    def _is_spike(self, before: ClosedBar, bar: ClosedBar, after: ClosedBar) -> bool:
        limit = self._largest_move(bar)
        both = move_pct(bar, before.close) > limit and move_pct(bar, after.close) > limit
        return both and move_pct(after, before.close) <= limit

    def _largest_move(self, bar: ClosedBar) -> float:
        return largest_move_pct(self._limits.max_move_pct, bar.timeframe)

    # -- silence --------------------------------------------------------------------------------------------------

    def expect(self, market: str, timeframes: Iterable[str]) -> None:
        """Bars of a market are subscribed to: from now on they are due."""
        one, now, at = self._of(market), self._clock.now(), self._monotonic()
        for timeframe in timeframes:
            if now is not None:
                one.ends[timeframe] = max(now, one.ends.get(timeframe, now))
            one.heard_s[timeframe] = at

    def watch(self) -> None:
        """Look for markets whose bars are overdue; call it every now and then."""
        at = self._monotonic()
        quiet = [
            (market, one, timeframe)
            for market, one in self._markets.items()
            for timeframe, heard_s in one.heard_s.items()
            if timeframe in one.ends and timeframe not in one.silent and at - heard_s > _WALL_SILENCE_S
        ]
        now = self._clock.now() if quiet else None
        if now is None:
            return
        for market, one, timeframe in quiet:
            due = one.ends[timeframe] + timeframe_delta(timeframe)
            if now - due > timedelta(seconds=self._limits.max_silence_s):
                why = f"{SILENT}: no {timeframe} bar since {one.ends[timeframe]:%Y-%m-%d %H:%M:%S}"
                one.silent[timeframe] = f"{why}, limit {self._limits.max_silence_s:g} s after it is due"
                self.tell("feed silent", f"{market}: {one.silent[timeframe]}")

    def _heard(self, bar: ClosedBar, one: _Market) -> None:
        one.ends[bar.timeframe] = max(bar.known_at, one.ends.get(bar.timeframe, bar.known_at))
        one.heard_s[bar.timeframe] = self._monotonic()
        if one.silent.pop(bar.timeframe, None) is not None:
            self.tell("feed heard again", f"{bar.market}: {bar.timeframe} bar of {bar.ts:%Y-%m-%d %H:%M}")

    # -- inside ---------------------------------------------------------------------------------------------------

    def _of(self, market: str) -> _Market:
        return self._markets.setdefault(market, _Market())

    def _set_apart(self, market: str, one: _Market, why: str, *, again: bool = False) -> None:
        if one.reason and not again:
            return
        one.reason = why
        self.tell("feed quarantined", f"{market}: {why}")

    def _take_back(self, market: str, one: _Market, why: str) -> None:
        if one.reason:
            one.reason, one.agreeing, one.level_bars = "", 0, 0
            self.tell("feed trusted again", f"{market}: {why}")


def _windows(bars: Sequence[ClosedBar]) -> Iterable[tuple[ClosedBar, ClosedBar, ClosedBar]]:
    """Each bar between its neighbours; the newest one between the two before it."""
    yield from zip(bars, bars[1:], bars[2:], strict=False)
    if len(bars) > _SEEDS:
        yield bars[-3], bars[-1], bars[-2]


def impossible(bar: ClosedBar) -> str | None:
    """What no trade can have made: prices that are not positive numbers, a low above another price, negative volume."""
    prices = {"open": bar.open, "high": bar.high, "low": bar.low, "close": bar.close}
    for name, price in prices.items():
        if not (math.isfinite(price) and price > 0):
            return f"its {name} is {price:g}"
    if bar.low > min(prices.values()) or bar.high < max(prices.values()):
        return f"low {bar.low:g} and high {bar.high:g} do not hold open {bar.open:g} and close {bar.close:g}"
    if not (math.isfinite(bar.volume) and bar.volume >= 0):
        return f"its volume is {bar.volume:g}"
    return None


def largest_move_pct(limit_pct: float, timeframe: str) -> float:
    """How far a bar of a timeframe may move: the limit up to 15 minutes, and as a random walk's spread beyond.

    Parameters
    ----------
    limit_pct
        The setting ``node.feed.max_move_pct``, which was measured on bars of 15 minutes.
    timeframe
        Of the bar; four times as long may move twice as far. A minute may move as far as a quarter of an hour: what
        is told apart is an error of the venue, and a crash needs no more than a minute.
    """
    return limit_pct * math.sqrt(max(timeframe_delta(timeframe) / _MEASURED, 1.0))


def move_pct(bar: ClosedBar, close: float) -> float:
    """How far the farther of a bar's extremes is from a price, in percent of the lower one of the two."""
    return 100 * (max(bar.high / close, close / bar.low) - 1)
