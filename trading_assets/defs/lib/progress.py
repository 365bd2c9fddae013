"""What a run tells while it goes on, for progress bars."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final, Literal

import dagster as dg

from trading_assets.defs.lib.check_states import passed_here
from trading_assets.defs.lib.failures import failure_reason
from trading_assets.sources.ingest.fetch_progress import Fetched

Kind = Literal["started", "finished", "failed", "materialized", "check", "log", "fetching", "searching"]


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened in a run.

    Attributes
    ----------
    kind
        ``started``, ``finished`` and ``failed`` are of a step, ``materialized`` and ``check`` of an asset;
        ``fetching`` says how far the candles are, ``searching`` how many trials have ended.
    subject
        What the run is about: a market, a model, or the journal.
    step
        The step: the name of its asset or of its group of checks; empty for what belongs to no step.
    message
        For people.
    passed
        Whether a check passed; None for everything else.
    steps_done, steps_total
        How far the run is.
    fetched
        How far the fetch is; only with ``fetching``.
    trials
        How many trials have ended, and of how many; only with ``searching``.
    """

    kind: Kind
    subject: str
    step: str
    message: str
    passed: bool | None
    steps_done: int
    steps_total: int
    fetched: Fetched | None = None
    trials: tuple[int, int] | None = None


Listener = Callable[[Event], None]


class Translator:
    """Turns Dagster's event log entries into :class:`Event`."""

    def __init__(self, subject: str, steps: int, listener: Listener) -> None:
        self._subject, self._steps, self._listener, self._done = subject, steps, listener, 0

    def __call__(self, entry: dg.EventLogEntry) -> None:
        """Tell the listener what an entry means, if it means anything to people."""
        event = entry.dagster_event
        if event is None:
            self._tell("log", entry.step_key, entry.user_message)
        elif event.is_step_start:
            self._tell("started", event.step_key, event.message)
        elif event.is_step_success or event.is_step_failure:
            self._done += 1
            if event.is_step_success:
                self._tell("finished", event.step_key, event.message)
            else:
                self._tell("failed", event.step_key, failure_reason(event) or "a blocking check failed")
        elif event.event_type == dg.DagsterEventType.ASSET_MATERIALIZATION:
            self._tell("materialized", event.step_key, f"{event.asset_key.to_user_string()} {event.partition or ''}")  # type: ignore[union-attr]
        elif event.event_type == dg.DagsterEventType.ASSET_CHECK_EVALUATION:
            check = event.asset_check_evaluation_data
            self._tell(
                "check", event.step_key, f"{check.check_name}: {check.description or ''}", passed=passed_here(check)
            )

    def fetching(self, fetched: Fetched) -> None:
        """Tell the listener how far the candles are."""
        self._tell("fetching", "candles", str(fetched), fetched=fetched)

    def searching(self, asset: str, done: int, total: int, said: str) -> None:
        """Tell the listener how many trials have ended, and how the newest one did."""
        self._tell("searching", asset, said, trials=(done, total))

    def _tell(
        self,
        kind: Kind,
        step: str | None,
        message: str | None,
        *,
        passed: bool | None = None,
        fetched: Fetched | None = None,
        trials: tuple[int, int] | None = None,
    ) -> None:
        event = Event(kind, self._subject, step or "", message or "", passed, self._done, self._steps, fetched, trials)
        self._listener(event)


_translator: Final[ContextVar[Translator | None]] = ContextVar("translator", default=None)


@contextmanager
def told_to(translator: Translator | None) -> Iterator[None]:
    """Let what runs in this thread reach a listener with :func:`tell_fetched`."""
    token = _translator.set(translator)
    try:
        yield
    finally:
        _translator.reset(token)


_stop: Final = threading.Event()


def let_fetches_go_on() -> None:
    """Forget that fetches were asked to stop."""
    _stop.clear()


def ask_fetches_to_stop() -> None:
    """Have the fetches of this process end at their next page, in whatever thread they are."""
    _stop.set()


def tell_searched(done: int, total: int, said: str, *, asset: str = "parameter_search") -> None:
    """Tell the listener of this run how far a search is; without one, in the daemon's runs, do nothing."""
    if (translator := _translator.get()) is not None:
        translator.searching(asset, done, total, said)


def tell_fetched(fetched: Fetched) -> None:
    """Tell the listener of this run how far the candles are; without one, in the daemon's runs, do nothing.

    Raises
    ------
    KeyboardInterrupt
        If the fetch is to stop.
    """
    if _stop.is_set():
        raise KeyboardInterrupt
    if (translator := _translator.get()) is not None:
        translator.fetching(fetched)
