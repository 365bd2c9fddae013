"""Decisions of the node: closed bars in, features by the assets' own function, the deployed model's answer out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final

import polars as pl
import structlog

from trading_assets.costs.outlook import FundingOutlook
from trading_assets.features import warm_up
from trading_assets.models.decision import Decision, Question
from trading_assets.strategies.decisions import decide, decide_together
from trading_assets.strategies.risk.closes import NO_CLOSES, between
from trading_assets.strategies.signals import ClosedBar, Signal, Stream
from trading_live.node.auxiliary.series import NOTHING_BESIDE, AuxiliarySeries
from trading_live.node.bars.history import BarHistory, bar_rows
from trading_live.node.decisions.admission import ModelInUse
from trading_live.node.decisions.answers import signal_on
from trading_live.node.decisions.deployed_models import DeployedModels
from trading_live.node.decisions.reach import late_bars
from trading_live.node.decisions.shadow import Heard, ShadowDecisions
from trading_live.node.decisions.steps import PriceSteps

_LOG: Final = structlog.get_logger(__name__)

OnGap = Callable[[Stream, datetime, datetime], None]
"""(stream, first missing open, open of the bar that came): asks the venue for what is missing."""

OnDecided = Callable[[ClosedBar, ModelInUse, Decision], None]
"""(bar, who decided, what): told of each decision, wanted or not; it must not take time."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """A bar on which a model is to decide."""

    bar: ClosedBar
    model: ModelInUse
    question: Question


class LiveSignals:
    """The node's signal source.

    A market whose bars do not join up is not decided on: the missing ones are asked for first, and until they are there
    (or the venue has none) its bars are only kept. So is one whose model reads the bars of a leader that lacks some.

    Parameters
    ----------
    streams
        What is decided on, or read beside it, and how many of its bars are held.
    shelf
        The models in use.
    on_gap
        Asks for missing bars.
    cost_bps
        Of a round trip at the venue, for the expected return of a trade.
    slippage_bps
        What of it is slippage.
    outlook
        Knows what funding to expect of a trade.
    events
        Market -> when what the settings tell of it took effect.
    min_step
        The least factor of a lasting step of the price; see :func:`trading_assets.quality.steps.level_steps`.
    on_decided
        Told of each decision; None where nobody asks.
    shadow
        Told of each bar that was decided on, and of what was said; deals with it later.
    auxiliary
        What features read beside bars; nothing is decided while it is not known as the tables will have it.

    Notes
    -----
    Nothing is decided on a market whose bars reach across an event or such a step, nor where an event comes within the
    horizon: no model has learnt from such rows.
    """

    def __init__(
        self,
        streams: Mapping[Stream, int],
        shelf: DeployedModels,
        on_gap: OnGap,
        *,
        cost_bps: float,
        slippage_bps: float = 0.0,
        outlook: FundingOutlook | None = None,
        events: Mapping[str, Sequence[datetime]] = MappingProxyType({}),
        min_step: float = 1.5,
        on_decided: OnDecided | None = None,
        shadow: ShadowDecisions | None = None,
        auxiliary: AuxiliarySeries | None = None,
    ) -> None:
        self.histories = {stream: BarHistory(stream, rows=rows) for stream, rows in streams.items()}
        self.stepped: dict[Stream, str] = {}
        self._steps = PriceSteps(events, min_step)
        self._on_decided = on_decided
        self._shadow = shadow
        self._auxiliary = auxiliary or NOTHING_BESIDE
        self.waiting: dict[Stream, str] = {}
        self.refused: dict[str, str] = {}
        self.decisions = 0
        self._shelf = shelf
        self._on_gap = on_gap
        self._cost_bps = cost_bps
        self._slippage_bps = slippage_bps
        self._outlook = outlook
        self._later: dict[Stream, tuple[datetime, datetime]] = {}
        warm_up()

    def on_bar(self, bar: ClosedBar) -> Signal | None:
        """The deployed model's answer on one bar."""
        return self.on_bars([bar])[0]

    def on_bars(self, bars: Sequence[ClosedBar]) -> list[Signal | None]:
        """The deployed models' answers on bars that close together, at most one of a stream.

        None without a model, while bars are missing, or for a bar seen before.
        """
        rows = bar_rows(bars)
        fresh = [self._keep(bar, rows[number : number + 1]) for number, bar in enumerate(bars)]
        self._auxiliary.seal([(bar.market, bar.known_at) for bar, kept in zip(bars, fresh, strict=True) if kept])
        asked = [self._asked(bar) if kept else None for bar, kept in zip(bars, fresh, strict=True)]
        decisions = iter(self._decide([one for one in asked if one is not None]))
        answers = [None if one is None else (one, next(decisions)) for one in asked]
        signals = [None if answer is None else self._signal(*answer) for answer in answers]
        if self._shadow is not None and self._shadow.asks:
            decided = (None if answer is None else answer[1] for answer in answers)
            every = zip(bars, fresh, decided, signals, strict=True)
            told = [(bar, one, signal) for bar, kept, one, signal in every if kept and not self._idle(bar.stream)]
            self._shadow.hear([self._heard(*one) for one in told])
        return signals

    def closes(self, stream: Stream, since: datetime, until: datetime) -> pl.DataFrame:
        """``known_at`` and ``close`` of the bars held of a stream that closed in [since, until]."""
        return between(self.histories[stream].frame, since, until) if stream in self.histories else NO_CLOSES

    def _heard(self, bar: ClosedBar, decision: Decision | None, signal: Signal | None) -> Heard:
        """A bar as challengers are told of it; from now on what they look back on is held."""
        assert self._shadow is not None
        self.histories[bar.stream].reach_back(self._shadow.bars_needed(bar.stream))
        leader = self._shelf.leader
        leading = None if leader in (None, bar.market) else self.histories.get(Stream(leader, bar.timeframe))
        row = None if decision is None else decision.row
        read = sorted({name for one in self._shadow.models if bar.stream in one.streams for name in one.beside})
        beside = self._auxiliary.known(read, bar.stream, bar.known_at)
        known = None if isinstance(beside, str) else beside
        return Heard(bar, self.histories[bar.stream].frame, leading, row, signal, known)

    def _keep(self, bar: ClosedBar, row: pl.DataFrame) -> bool:
        """Add a bar to its market's history, and ask for those missing before it; False for one seen before."""
        history = self.histories[bar.stream]
        last = history.last
        if last is not None and bar.ts <= last:
            return False
        history.append(row)
        if last is not None and bar.ts > last + history.length:
            self.miss(bar.stream, last + history.length, bar.ts)
        return True

    def _asked(self, bar: ClosedBar) -> _Asked | None:
        """What is to be decided on a bar; None where nothing can be."""
        stream, history = bar.stream, self.histories[bar.stream]
        leader, model = self._leader_of(stream), self._shelf.of(stream)
        if model is not None:
            self._reach_back(history, model.look_back)
        if self._idle(stream) or history.height < self.bars_needed(stream):
            return None
        if model is not None and leader in self.histories:
            self._lead_back(history, self.histories[leader], model.look_back)
        if model is None or (leader is not None and (self._idle(leader) or leader not in self.histories)):
            return None
        try:
            if self._crosses(stream, model.bundle.labels.horizon_bars, leader):
                return None
        except Exception as error:
            self._fail(model, bar.market, error)
            return None
        if (beside := self._auxiliary.of(model.beside, stream, bar.known_at)) is None:
            return None
        leading = {} if leader is None else {"leader": self.histories[leader].known_at(bar.known_at)}
        return _Asked(bar, model, Question(model.bundle, history.frame, {**beside, **leading}))

    def bars_needed(self, stream: Stream) -> int:
        """How many bars the model that decides on a stream looks back on; without one, what any would."""
        model = self._shelf.of(stream)
        return self.histories[stream].rows if model is None else model.look_back

    def _reach_back(self, history: BarHistory, needed: int) -> None:
        """Hold the bars that a model looks back on, and ask for those before the present ones."""
        added, first = history.reach_back(needed), history.first
        if added and first is not None:
            self.miss(history.stream, first - added * history.length, first)

    def _lead_back(self, history: BarHistory, leading: BarHistory, needed: int) -> None:
        """Hold a leader's bars from before the first one that is read: a market that lacks some reads older ones."""
        ts = history.frame["ts"]
        reach = (ts[-1] - ts[-needed]) // history.length + 1 + late_bars(history.stream)
        if reach > leading.rows:
            self._reach_back(leading, reach + reach // 2)  # more than it takes, so that the next gap asks for none

    def _decide(self, asked: Sequence[_Asked]) -> list[Decision | None]:
        """The models' decisions; where one fails, the others are made one by one."""
        if len(asked) > 1:
            try:
                return list(decide_together([one.question for one in asked]))
            except Exception as error:
                _LOG.warning("deciding one by one", error=f"{type(error).__name__}: {error}")
        return [self._decide_one(one) for one in asked]

    def _decide_one(self, asked: _Asked) -> Decision | None:
        question = asked.question
        try:
            return decide(question.bundle, question.held, question.companions)
        except Exception as error:  # whatever it is: a model that fails decides nothing more, and the others go on
            self._fail(asked.model, asked.bar.market, error)
            return None

    def _fail(self, model: ModelInUse, market: str, error: Exception) -> None:
        self._shelf.fail(model, f"it failed on {market}: {type(error).__name__}: {error}")

    def refuse(self, market: str, reason: str) -> None:
        """Decide nothing on a market as long as this process runs."""
        self.refused[market] = reason

    def forget(self, market: str, reason: str) -> list[Stream]:
        """Drop a market's bars, and decide nothing on it until :meth:`go_on`, when its history is there again.

        Returns
        -------
        list
            What was dropped.
        """
        dropped = [stream for stream in self.histories if stream.market == market]
        for stream in dropped:
            self.histories[stream].clear()
            self.stepped.pop(stream, None)
            self._later.pop(stream, None)
            self.wait(stream, reason)
        return dropped

    def wait(self, stream: Stream, reason: str) -> None:
        """Decide nothing on a market's bars of a timeframe until :meth:`go_on`."""
        self.waiting[stream] = reason

    def go_on(self, stream: Stream) -> None:
        """Decide again, unless more bars were missed while the answer was under way: then these are asked for."""
        self.waiting.pop(stream, None)
        if (later := self._later.pop(stream, None)) is not None:
            self.miss(stream, *later)

    def state(self) -> dict[str, str]:
        """Market -> why nothing is decided there; with the timeframe, where it has several."""
        several = Counter(stream.market for stream in self.histories)
        found: dict[str, list[str]] = {}
        for stream in self.histories:
            if why := self._why_not(stream):
                found.setdefault(stream.market, []).append(
                    f"{stream.timeframe}: {why}" if several[stream.market] > 1 else why
                )
        return {market: "; ".join(reasons) for market, reasons in found.items()}

    def _why_not(self, stream: Stream) -> str | None:
        """Why nothing is decided on a market's bars of a timeframe."""
        history, leader = self.histories[stream], self._leader_of(stream)
        if why := self.refused.get(stream.market) or self.waiting.get(stream) or self.stepped.get(stream):
            return why
        if why := self._auxiliary.lacking.get(stream):
            return why
        if history.height < (needed := self.bars_needed(stream)):
            return f"{history.height:,} of {needed:,} bars of history"
        if leader is not None and (leader not in self.histories or leader.market in self.refused):
            return f"no bars of its leader {leader.market} are listened to"
        return None if self._shelf.of(stream) is not None else "no model deployed"

    def _leader_of(self, stream: Stream) -> Stream | None:
        leader = self._shelf.leader_of(stream)
        return None if leader is None else Stream(leader, stream.timeframe)

    def _idle(self, stream: Stream) -> bool:
        return stream in self.waiting or stream.market in self.refused

    def miss(self, stream: Stream, since: datetime, until: datetime) -> None:
        """Ask for the bars that open in [since, until), and decide nothing until the answer is there."""
        if stream in self.waiting:
            begun, _ = self._later.get(stream, (since, until))
            self._later[stream] = begun, until
        else:
            self.wait(stream, f"bars from {since:%Y-%m-%d %H:%M} on are missing")
            self._on_gap(stream, since, until)

    def _crosses(self, stream: Stream, horizon_bars: int, leader: Stream | None) -> bool:
        """Whether a decision would look across a step; ``stepped`` says which."""
        why = self._step(stream, horizon_bars * self.histories[stream].length)
        if why is None and leader is not None and (its := self._step(leader, timedelta(0))) is not None:
            why = f"its leader {leader.market}: {its}"
        if why is None:
            self.stepped.pop(stream, None)
        else:
            self.stepped[stream] = why
        return why is not None

    def _step(self, stream: Stream, reach: timedelta) -> str | None:
        """The event or step that a stream's bars reach across, or whose time comes within ``reach``."""
        bars = self.histories[stream].frame
        return self._steps.crossed(stream, bars, look_back=self.bars_needed(stream), reach=reach)

    def _signal(self, asked: _Asked, decision: Decision | None) -> Signal | None:
        if decision is None:
            return None  # the model failed
        if self._on_decided is not None:
            self._on_decided(asked.bar, asked.model, decision)
        signal = signal_on(
            asked.bar,
            asked.model,
            decision,
            cost_bps=self._cost_bps,
            slippage_bps=self._slippage_bps,
            outlook=self._outlook,
        )
        self.decisions += signal is not None
        return signal
