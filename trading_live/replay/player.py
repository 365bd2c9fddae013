"""The replayed clock, and what is sent as it goes: closed bars, trades, book updates."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from typing import Final

from trading_live.replay.clients import Clients
from trading_live.replay.pace import Pace
from trading_live.replay.streams import Sent, within
from trading_live.replay.tape import Kline, Tape, epoch_ms

_PROGRESS_S: Final = 0.2
_SETTLE_S: Final = 2.0
"""A node subscribes to a stream every 0.3 s, and later on a busy machine: what begins before misses its first bars."""

_PAUSE_S: Final = 0.02
_LAST_S: Final = 0.3
_GLANCE_S: Final = 0.5
"""How often the player looks for who has subscribed to trades and books meanwhile."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the replay is.

    Attributes
    ----------
    fraction, replayed_at
        Share of the tape, and the replayed clock.
    waiting
        Whether it waits for the first subscription.
    speed
        Replayed seconds per second so far.
    held_s
        For how long it has waited for a node that could not keep up.
    """

    fraction: float
    replayed_at: datetime
    waiting: bool
    speed: float = 0.0
    held_s: float = 0.0


class Player:
    """Plays a tape to the clients at the pace of its clock.

    Parameters
    ----------
    tape, clients
        What is played, and to whom.
    speed
        Replayed seconds per second.
    hold
        Whether the clock waits for subscriptions.
    on_finished
        Called when the last bar was sent.
    on_progress
        Called about five times a second.
    on_sent
        Called with each bar and the wall clock in nanoseconds right before it goes on the wire.
    on_closed
        Called with the bars that close together, before any of them is sent.

    Attributes
    ----------
    now_ms
        The replayed clock.
    paused
        Whether it is to stand still.
    stop_ms
        The instant beyond which it does not go; None is the tape's end.
    pace
        How far the node is behind.
    spoil
        Makes of a bar what is sent instead; None sends nothing. For rehearsing with bars that cannot be believed.
    """

    def __init__(
        self,
        tape: Tape,
        clients: Clients,
        *,
        speed: float,
        hold: bool,
        on_finished: Callable[[], None],
        on_progress: Callable[[Progress], None] | None,
        on_sent: Callable[[Kline, int], None] | None,
        on_closed: Callable[[Sequence[Kline]], None] = lambda _bars: None,
    ) -> None:
        self.tape = tape
        self.now_ms = epoch_ms(tape.start)
        self.paused = False
        self.stop_ms: int | None = None
        self._next_ms: int | None = None
        self.pace = Pace(lambda: bool(clients.streams))
        self.spoil: Callable[[Kline], Kline | None] = lambda bar: bar
        self._clients = clients
        self._speed = speed
        self._hold = hold
        self._on_finished = on_finished
        self._on_progress = on_progress
        self._on_sent = on_sent
        self._on_closed = on_closed
        self._glance_ms = max(round(_GLANCE_S * speed * 1000), 1)
        self._finished = False
        self._reported = self._begun = 0.0

    @property
    def now(self) -> datetime:
        """The replayed clock as a time."""
        return datetime.fromtimestamp(self.now_ms / 1000, UTC)

    @property
    def stands(self) -> bool:
        """Whether the clock has come to stand still, so that nothing more is sent."""
        at_ms = self._next_ms
        return self._finished or (at_ms is not None and self._must_stand(at_ms))

    def show(self, tape: Tape) -> None:
        """Serve another tape's history from now on, as of its end."""
        self.tape = tape
        self.now_ms = epoch_ms(tape.end)

    async def play(self) -> None:
        """Send everything up to the tape's end."""
        self._report(force=True)
        if self._hold:
            await self._everyone_subscribed()
        due = self._begun = time.monotonic()
        for close_ms, group in groupby(self.tape.play(), key=lambda bar: bar.close_ms):
            bars = list(group)
            due += await self._wait_for_node()
            while self.now_ms <= close_ms:
                due = await self._play_within(due, min(self.now_ms + self._glance_ms, close_ms + 1))
            self._on_closed(bars)
            for bar in bars:
                await self._send(bar)
            self._report()
        await self._wait_for_node(ahead_ms=0)
        self.now_ms = epoch_ms(self.tape.end)
        self._finished = True
        self._on_finished()
        self._report(force=True)

    async def _play_within(self, due: float, end_ms: int) -> float:
        """Send the trades and book updates up to an instant to those who listen now, and go there."""
        for sent in self._within(self.now_ms, end_ms):
            due = await self._until(due, sent.at_ms + 1)
            await self._clients.publish(sent.stream, sent.message)
            self._report()
        return await self._until(due, end_ms)

    async def _until(self, due: float, at_ms: int) -> float:
        """Set the replayed clock to an instant, when it is there; returns the wall clock's time of it."""
        due += (at_ms - self.now_ms) / 1000 / self._speed
        await asyncio.sleep(max(due - time.monotonic(), 0))
        while self._must_stand(at_ms):
            self._next_ms = at_ms
            await asyncio.sleep(_PAUSE_S)
            due = time.monotonic()
        self._next_ms = None
        self.now_ms = at_ms
        return due

    def _must_stand(self, at_ms: int) -> bool:
        return self.paused or (self.stop_ms is not None and at_ms > self.stop_ms)

    async def _wait_for_node(self, **ahead: int) -> float:
        """Let a node catch up that says how far it is; returns the seconds waited."""
        begun = time.monotonic()
        if not self.pace.must_wait(begun, **ahead):
            return 0.0
        while self.pace.must_wait(time.monotonic(), **ahead):
            await asyncio.sleep(_PAUSE_S / 10)
            self._report()
        if ahead:  # what ends with the last bar heard may still be at work
            await asyncio.sleep(_LAST_S)
        waited = time.monotonic() - begun
        self.pace.held_s += waited
        return waited

    def _within(self, start_ms: int, end_ms: int) -> list[Sent]:
        """The trades and book updates that somebody listens to, of all symbols, in the order of sending."""
        streams = self._clients.streams
        found = (within(one, start_ms, end_ms, streams) for one in self.tape.instruments.values())
        return sorted((sent for messages in found for sent in messages), key=lambda sent: sent.at_ms)

    async def _everyone_subscribed(self) -> None:
        """Wait for the first subscription, and until no other came for a while: clients send few at a time."""
        subscribed = self._clients.subscribed
        await subscribed.wait()
        while subscribed.is_set():
            subscribed.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(subscribed.wait(), _SETTLE_S)
        self._hold = False

    async def _send(self, bar: Kline) -> None:
        noted = self._on_sent
        note = None if noted is None else lambda: noted(bar, time.time_ns())
        sent, stream = self.spoil(bar), f"{bar.symbol.lower()}@kline_{bar.interval}"
        if sent is not None and await self._clients.publish(stream, sent.message(), note):
            self.pace.sent(bar.close_ms)

    def _report(self, *, force: bool = False) -> None:
        if self._on_progress is None or (not force and time.monotonic() - self._reported < _PROGRESS_S):
            return
        self._reported = time.monotonic()
        begin, end = epoch_ms(self.tape.start), epoch_ms(self.tape.end)
        share = 1.0 if self._finished or end == begin else (self.now_ms - begin) / (end - begin)
        played_s = (min(self.now_ms, end) - begin) / 1000
        speed = played_s / max(time.monotonic() - self._begun, 1e-3) if played_s else 0.0
        self._on_progress(Progress(share, self.now, self._hold, speed, self.pace.held_s))
