"""The bars of the past that the node needs: the warm-up of each market, and what was missed. No engine."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import structlog

from trading_assets.strategies.feed import FeedQuarantine
from trading_assets.strategies.signals import ClosedBar, Stream
from trading_live.node.bars.fatal_requests import FatalRequests
from trading_live.node.bars.requests import BarRequest, BarRequests
from trading_live.node.decisions.signals import LiveSignals

_LOG = structlog.get_logger(__name__)


class HistoryLoader:
    """Asks for bars, and hands the answers to the signals that wait for them.

    Parameters
    ----------
    feed
        Which bars can be believed.
    tell
        (event, detail): into the node's journal.
    fatal
        Which requests are not sent, because a process before died of them.
    historic
        Whether bars carry historic times, so that this machine's clock cannot tell a forming bar.
    monotonic
        Seconds that only grow: an answer is waited for by them.

    Attributes
    ----------
    missed, recovered
        How many bars were found missing, and how many of them the venue had.
    """

    def __init__(
        self,
        feed: FeedQuarantine,
        tell: Callable[[str, str], None],
        fatal: FatalRequests,
        *,
        historic: bool,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._feed = feed
        self._tell = tell
        self._fatal = fatal
        self._historic = historic
        self._answers = 0
        self.missed = 0
        self.recovered = 0
        self._signals: LiveSignals | None = None
        self._requests = BarRequests(monotonic)

    def __len__(self) -> int:
        """How many answers are still to come."""
        return len(self._requests)

    def serve(self, signals: LiveSignals, send: Callable[[Stream, BarRequest], Any]) -> None:
        """From now on, ask by ``send`` and give the answers to these signals."""
        self._signals = signals

        def send_noted(stream: Stream, request: BarRequest) -> None:
            self._fatal.sent(stream, request, signals.histories[stream].first)
            send(stream, request)

        self._requests.send_by(send_noted)

    def warm_up(self, streams: Iterable[Stream]) -> None:
        """Ask for the look-back of streams."""
        for stream in streams:
            if (why := self._fatal.refusal(stream)) is not None:
                self.leave_out(stream, why)
            else:
                self._requests.ask(stream, BarRequest())

    def leave_out(self, stream: Stream, why: str) -> None:
        """Decide nothing on a market whose history does not come; the others go on, and so do its open trades."""
        self._served.refuse(stream.market, why)
        self._tell("history refused", f"{stream.market}: {why}")
        _LOG.warning("history refused", market=stream.market, timeframe=stream.timeframe, why=why)

    def missing(self, stream: Stream, since: datetime, until: datetime) -> None:
        """Ask for the bars that open in [since, until): the signals' way to close a gap."""
        count = int((until - since) / self._served.histories[stream].length)
        self.missed += count
        self._tell("bars missing", f"{stream.market}: {count} of {stream.timeframe} from {since:%Y-%m-%d %H:%M}")
        _LOG.warning("bars missing", market=stream.market, count=count, since=since.isoformat())
        self._requests.ask(stream, BarRequest(since, until))

    def load_again(self, market: str, reason: str) -> None:
        """Forget a market's bars and ask for them anew."""
        self.warm_up(self._served.forget(market, reason))

    def take(self, stream: Stream | None, bars: Sequence[ClosedBar]) -> None:
        """Take an answer: a page of the warm-up, or bars that were missing; an empty one does not say whose it is."""
        stream = stream or self._requests.underway
        if stream is None:
            return
        history = self._served.histories[stream]
        now = datetime.now(UTC)
        by_time = {bar.ts: bar for bar in bars if self._historic or bar.known_at <= now}
        closed = sorted(by_time.values(), key=lambda bar: bar.ts)  # in no order, or twice, as venues send them
        around = history.around(closed[0].ts, closed[-1].ts) if closed else (None, None)
        fresh = history.merge(self._feed.believe(closed, before=around[0], after=around[1]))
        request = self._requests.answered(stream)
        self._fatal.answered()
        if request is not None:
            self._answers += bool(bars)
            self._answered(stream, request, fresh)
            self._requests.go_on()

    def _answered(self, stream: Stream, request: BarRequest, fresh: int) -> None:
        history, market = self._served.histories[stream], stream.market
        if request.since is not None and request.until is not None:
            wanted = int((request.until - request.since) / history.length)
            self._served.go_on(stream)
            self.recovered += fresh
            rest = "" if fresh >= wanted else "; the venue has no others"
            self._tell("bars recovered", f"{market}: {fresh} of {wanted}{rest}")
            _LOG.info("bars recovered", market=market, fresh=fresh, wanted=wanted)
        elif fresh and history.height < history.rows:
            self._requests.ask(stream, BarRequest())
        else:
            wanted = history.rows
            _LOG.info("history is there", market=market, timeframe=stream.timeframe, bars=history.height, wanted=wanted)
            self._served.go_on(stream)

    def chase(self) -> Stream | None:
        """Ask again for what was not answered in time.

        Returns
        -------
        Stream or None
            The stream whose history did not come in all its attempts, where no other's did: the venue sends none.
            Where another's did, its market alone is left out.
        """
        silent = self._requests.chase()
        if silent is None or not self._answers:
            return silent
        self.leave_out(silent, f"the venue does not send a history of {silent.timeframe} that can be read")
        return None

    @property
    def _served(self) -> LiveSignals:
        assert self._signals is not None, "the supervisor begins by serve()"
        return self._signals
