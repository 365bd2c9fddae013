"""What challengers say of closed bars: asked when the models that trade have been, in the node's idle moments."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType
from typing import Any, Final, Protocol

import polars as pl
import structlog

from trading_assets import features
from trading_assets.core.plugins.seats import Owners
from trading_assets.core.timeframes import Timeframe
from trading_assets.costs.outlook import FundingOutlook
from trading_assets.features import FeatureRow
from trading_assets.journal import Answer, shadow_event
from trading_assets.models.decision import Companions, Question
from trading_assets.settings import ModelSettings
from trading_assets.strategies.decisions import decide_together
from trading_assets.strategies.instruments import event_time
from trading_assets.strategies.signals import ClosedBar, Signal, Stream
from trading_live.node.bars.history import BarHistory
from trading_live.node.decisions.admission import ModelInUse
from trading_live.node.decisions.answers import answer_of, signal_on
from trading_live.node.decisions.challengers import Challengers
from trading_live.node.decisions.steps import PriceSteps

_LOG: Final = structlog.get_logger(__name__)
_AFTER: Final = timedelta(milliseconds=25)
"""From a pass to the first challenger: its orders are sent by then, and their events come in between."""

_NEXT: Final = timedelta(milliseconds=1)
"""From one challenger to the next: a bar that came meanwhile goes first."""

_MOST_WAITING: Final = 1_000
"""Passes that may wait for their challengers; beyond, the oldest is left out: each holds its bars in memory."""

_SLOW_S: Final = 0.5
_SLOW_TIMES: Final = 3
"""A challenger that takes so long so many times in a row is set aside: bars wait for it."""


class Clock(Protocol):
    """Who has the engine's clock."""

    @property
    def clock(self) -> Any:
        """Calls back on the engine's thread."""
        ...


@dataclass(frozen=True, slots=True)
class Heard:
    """A closed bar that challengers are to decide on, as it was when the model that trades was asked.

    Attributes
    ----------
    held
        The bars held of its stream, this one included.
    leader
        The leader's bars, where the node has any.
    row
        The features that were computed for the model that trades, where there were.
    signal
        What that model said.
    beside
        What challengers read beside bars; None where some of it was not known.
    """

    bar: ClosedBar
    held: pl.DataFrame
    leader: BarHistory | None
    row: FeatureRow | None
    signal: Signal | None
    beside: Companions | None = MappingProxyType({})

    def companions(self, names: Collection[str]) -> Companions:
        """Of the auxiliary series that were known, those of some names."""
        known = {**(self.beside or {}), **(self.leading or {})}
        return {name: frame for name, frame in known.items() if name in names}

    @property
    def leading(self) -> Companions | None:
        """What a model that follows the leader reads; None while the leader's bar of this close is not there."""
        moment = self.bar.known_at
        if self.leader is None or self.leader.frame.is_empty() or self.leader.frame["known_at"][-1] < moment:
            return None
        return {"leader": self.leader.known_at(moment)}


class ShadowDecisions:
    """Asks the challengers after each pass, one at a time, and journals their answers.

    Nothing that trades waits for them. They are asked on the engine's thread by timers of its clock, a moment after the
    pass; between two of them, bars and orders go first. Features that the model that trades has read already are not
    computed again; of what is left, the union of all challengers' is computed once. What goes wrong with one sets it
    aside, and no other.

    Parameters
    ----------
    challengers
        In use.
    keep
        Takes events for the journal.
    journal_trouble
        Why the journal cannot be written: then nothing is asked, as answers would wait in memory for room on the disk.
    cost_bps
        Of a round trip at the venue.
    outlook
        Knows what funding to expect of a trade.
    steps
        Nothing is decided across one.
    """

    def __init__(
        self,
        challengers: Challengers,
        keep: Callable[[Sequence[tuple[str, dict[str, Any]]]], object],
        *,
        journal_trouble: Callable[[], str | None],
        cost_bps: float,
        outlook: FundingOutlook | None = None,
        steps: PriceSteps,
    ) -> None:
        self._challengers = challengers
        self._keep = keep
        self._journal_trouble = journal_trouble
        self._cost_bps = cost_bps
        self._outlook = outlook
        self._steps = steps
        self._strategy: Clock | None = None
        self._waiting: deque[Iterator[None]] = deque(maxlen=_MOST_WAITING)
        self._slow: dict[str, int] = {}
        self._turn = 0

    def follow(self, strategy: Clock) -> None:
        """Take the clock of an engine's strategy."""
        self._strategy = strategy
        self._waiting.clear()

    def __len__(self) -> int:
        """How many passes wait for their challengers."""
        return len(self._waiting)

    @property
    def asks(self) -> bool:
        """Whether there is anybody to ask."""
        return self._strategy is not None and bool(self._challengers.models) and self._journal_trouble() is None

    @property
    def models(self) -> tuple[ModelInUse, ...]:
        """The challengers in use."""
        return self._challengers.models

    def bars_needed(self, stream: Stream) -> int:
        """How many bars of a stream are read."""
        return self._challengers.bars_needed(stream)

    def hear(self, heard: Sequence[Heard]) -> None:
        """Take the bars of a pass; they are dealt with later. Does not raise."""
        try:
            if not heard:
                return
            idle = not self._waiting
            if len(self._waiting) == _MOST_WAITING:
                self._challengers.fall_behind(_MOST_WAITING)
            self._waiting.append(self._work(heard))
            if idle:
                self._ask_in(_AFTER)
        except Exception:
            _LOG.exception("challengers")

    def _ask_in(self, wait: timedelta) -> None:
        assert self._strategy is not None  # bars come from its engine
        clock = self._strategy.clock
        self._turn = 1 - self._turn  # an alert is known by its name until it was dealt with
        clock.set_time_alert(f"challengers {self._turn}", clock.utc_now() + wait, callback=self._go_on)

    def _go_on(self, _: object) -> None:
        """Do the next piece of the oldest pass; all of it where another one waits, as in a replay that hurries."""
        try:
            hurries = len(self._waiting) > 1
            while True:
                next(self._waiting[0])
                if not hurries:
                    break
        except StopIteration:
            self._waiting.popleft()
        except Exception:
            _LOG.exception("challengers")
            self._waiting.popleft()
        if self._waiting:
            self._ask_in(_NEXT)

    # -- one pass -------------------------------------------------------------------------------------------------

    def _work(self, heard: Sequence[Heard]) -> Iterator[None]:
        """Ask every challenger about the bars of a pass, and write what they said; stops after each."""
        able = self._able(heard)
        rows = _shared_rows(able, heard)
        said: list[list[Answer]] = [[] for _ in heard]
        yield
        for model, numbers in able:
            began = time.perf_counter()
            try:
                signals = self._ask(model, [heard[number] for number in numbers], [rows.get(n) for n in numbers])
            except Exception as error:  # whatever it is: it is this challenger's alone
                where = heard[numbers[0]].bar.market
                self._challengers.fail(model, f"it failed on {where}: {type(error).__name__}: {error}")
            else:
                for number, signal in zip(numbers, signals, strict=True):
                    said[number] += [] if signal is None else [answer_of(signal)]
                self._mind_time(model, time.perf_counter() - began)
            yield
        self._write(heard, said)

    def _able(self, heard: Sequence[Heard]) -> list[tuple[ModelInUse, list[int]]]:
        """Each challenger that can decide on some of the bars, and on which."""
        crossed: dict[tuple[int, int, int], bool] = {}

        def decides(model: ModelInUse, number: int) -> bool:
            one, needed, horizon = heard[number], model.look_back, model.bundle.labels.horizon_bars
            if one.bar.stream not in model.streams or self._challengers.lacks_bars(model, one.held.height):
                return False
            if (model.follows and one.leading is None) or (model.beside and one.beside is None):
                return False
            if (key := (number, needed, horizon)) not in crossed:
                crossed[key] = self._crosses(one, needed, horizon)
            return not crossed[key]

        found = [(model, [n for n in range(len(heard)) if decides(model, n)]) for model in self._challengers.models]
        return [(model, numbers) for model, numbers in found if numbers]

    def _crosses(self, one: Heard, needed: int, horizon_bars: int) -> bool:
        reach = horizon_bars * (one.bar.known_at - one.bar.ts)
        return self._steps.crossed(one.bar.stream, one.held, look_back=needed, reach=reach) is not None

    def _ask(self, model: ModelInUse, heard: Sequence[Heard], rows: Sequence[FeatureRow | None]) -> list[Signal | None]:
        """What a challenger would say if it traded: by the functions that are asked then."""
        questions = [
            Question(model.bundle, one.held, one.companions(model.reads), row)
            for one, row in zip(heard, rows, strict=True)
        ]
        decisions = decide_together(questions)
        return [
            signal_on(one.bar, model, decision, cost_bps=self._cost_bps, outlook=self._outlook)
            for one, decision in zip(heard, decisions, strict=True)
        ]

    def _mind_time(self, model: ModelInUse, seconds: float) -> None:
        """Set a challenger aside that bars would wait for."""
        slow = self._slow.get(model.name, 0) + 1 if seconds > _SLOW_S else 0
        self._slow[model.name] = slow
        if slow >= _SLOW_TIMES:
            self._challengers.fail(model, f"it answers within {seconds:.1f} s, limit {_SLOW_S:g} s")

    def _write(self, heard: Sequence[Heard], said: Sequence[Sequence[Answer]]) -> None:
        assert self._strategy is not None
        now = event_time(self._strategy.clock.timestamp_ns())
        events = [
            shadow_event(
                one.bar.market,
                one.bar.timeframe,
                one.bar.ts,
                ts=now,
                champion=None if one.signal is None else answer_of(one.signal),
                others=others,
            )
            for one, others in zip(heard, said, strict=True)
            if others
        ]
        if events and self._journal_trouble() is None:
            self._keep(events)


def _shared_rows(able: Sequence[tuple[ModelInUse, list[int]]], heard: Sequence[Heard]) -> dict[int, FeatureRow]:
    """The newest features of bars, computed once for all challengers, or for the model that trades before.

    Where the computation fails, each challenger is left to compute its own: only one of them may be the cause.
    """
    found: dict[int, FeatureRow] = {}
    trained = [one for one in able if isinstance(one[0].bundle.spec, ModelSettings)]
    for timeframe in {model.bundle.labels.timeframe for model, _ in trained}:
        mine = [one for one in trained if one[0].bundle.labels.timeframe == timeframe]
        names = list(dict.fromkeys(name for model, _ in mine for name in model.bundle.features))
        numbers = sorted({number for _, numbers in mine for number in numbers})
        known = [row for number in numbers if (row := heard[number].row) is not None]
        if len(known) == len(numbers) and all(set(names) <= set(row.names) for row in known):
            found |= zip(numbers, known, strict=True)
            continue
        try:
            found |= _computed(timeframe, names, numbers, heard, mine[0][0].bundle.plugins)
        except Exception as error:
            _LOG.warning("challengers compute features one by one", error=f"{type(error).__name__}: {error}")
    return found


def _computed(
    timeframe: Timeframe, names: Sequence[str], numbers: Sequence[int], heard: Sequence[Heard], plugins: Owners | None
) -> dict[int, FeatureRow]:
    held = [heard[number].held for number in numbers]
    read = features.required_companions(names, plugins)
    companions = [heard[number].companions(read) for number in numbers]
    rows = features.compute_newest(held, companions, timeframe=timeframe, features=names, plugins=plugins)
    return dict(zip(numbers, rows, strict=True))
