"""What a node is doing, put together from its folder: whoever asks needs no connection to it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import polars as pl

from trading_assets.core.errors import ModelError, NodeError
from trading_assets.core.sides import Side
from trading_assets.journal import JOURNAL_FILE, NODE, JournalState, newest_events, newest_seq, read_state
from trading_assets.journal.events import frame
from trading_assets.registry.deployment import DeployedModel, read_manifest
from trading_assets.settings import Settings
from trading_assets.store.tables import SIGNALS
from trading_assets.strategies.plans.plan import StopKind
from trading_assets.strategies.protections import Change
from trading_live.operations.heartbeat import Heartbeat, is_running, missing_journal, read_heartbeat
from trading_live.operations.holds import read_holds
from trading_live.operations.kill_switch import KillSwitch, engaged
from trading_live.operations.pauses import Request, waiting
from trading_live.recovery.from_journal import newest_plans

_DEAF_S: Final = 10.0
_STARTING_S: Final = 60.0
"""No heartbeat comes while models are loaded, each in a process of its own."""


@dataclass(frozen=True, slots=True)
class OpenPosition:
    """An open position with what the strategy intends with it; prices in quote currency, times UTC.

    The quantity of a short position is negative. The target is the nearest that is not filled, of ``targets``;
    ``stop_kind`` says what put the stop where it lies.
    """

    market: str
    quantity: float
    average_price: float
    stop_price: float | None
    target_price: float | None
    expires_at: datetime | None
    signal_id: str
    stop_kind: StopKind = "stop_loss"
    targets: int = 0
    targets_filled: int = 0

    @property
    def side(self) -> Side:
        """Long or short."""
        return Side.LONG if self.quantity > 0 else Side.SHORT


@dataclass(frozen=True, slots=True)
class Book:
    """What the journal knew at a moment.

    Attributes
    ----------
    seq
        Its newest event.
    positions
        The open positions.
    problem
        Why it could not be read; then nothing is known.
    """

    seq: int
    positions: tuple[OpenPosition, ...]
    problem: str = ""


@dataclass(frozen=True)
class NodeStatus:
    """What ``trading status`` shows.

    Attributes
    ----------
    running
        Whether a process holds the folder.
    responsive
        Whether its heartbeat is fresh.
    heartbeat
        The newest one, also of a node that has ended.
    kill
        The kill switch, if it is on.
    deployed
        What the manifest names; the heartbeat's models are those in use.
    manifest_error
        Why the manifest cannot be read.
    positions
        Open positions.
    signals, events
        The newest decisions, and what the node did, newest last.
    journal_events, journal_bytes
        The journal's size.
    journal_error
        Why the journal cannot be read; then positions, signals and events are not known.
    held
        What holds trading back.
    asked
        What people asked for and no node has taken yet.
    """

    running: bool
    responsive: bool
    heartbeat: Heartbeat | None
    kill: KillSwitch | None
    deployed: tuple[DeployedModel, ...]
    manifest_error: str
    positions: tuple[OpenPosition, ...]
    signals: pl.DataFrame
    events: pl.DataFrame
    journal_events: int
    journal_bytes: int
    journal_error: str = ""
    held: tuple[Change, ...] = ()
    asked: tuple[Request, ...] = ()


def read_status(settings: Settings, *, newest: int = 10) -> NodeStatus:
    """Look at a node's folder.

    Parameters
    ----------
    settings
        Which folder: ``settings.live_dir``.
    newest
        How many signals and events.
    """
    live_dir = settings.live_dir
    book, signals, events = _journalled(live_dir, newest)
    heartbeat, running = read_heartbeat(live_dir), is_running(live_dir)
    deployed: tuple[DeployedModel, ...] = ()
    manifest_error = ""
    try:
        deployed = tuple(read_manifest(live_dir).models.values())
    except ModelError as error:
        manifest_error = str(error)
    return NodeStatus(
        running=running,
        responsive=running and heartbeat is not None and heartbeat.age_s < _patience_s(heartbeat),
        heartbeat=heartbeat,
        kill=engaged(live_dir),
        deployed=deployed,
        manifest_error=manifest_error,
        positions=book.positions,
        signals=signals,
        events=events,
        journal_events=book.seq,
        journal_bytes=sum(file.stat().st_size for file in live_dir.glob(f"{JOURNAL_FILE}*")),
        journal_error=book.problem,
        held=_held(live_dir) if not book.problem else (),
        asked=tuple(one.request for one in waiting(live_dir)[0]),
    )


def _held(live_dir: Path) -> tuple[Change, ...]:
    with suppress(NodeError):  # what is damaged is told where the rest is read
        return read_holds(live_dir)
    return ()


def _patience_s(beat: Heartbeat) -> float:
    return _STARTING_S if beat.state == "starting" else _DEAF_S


def is_deaf(live_dir: Path) -> bool:
    """Whether what holds the folder has given no sign of life for longer than any work takes."""
    beat = read_heartbeat(live_dir)
    return beat is None or beat.age_s >= _patience_s(beat)


def look(live_dir: Path) -> Book:
    """Read a node's journal; a problem is part of the answer, as who asks goes on without it."""
    path = live_dir / JOURNAL_FILE
    try:
        if (missing := missing_journal(live_dir)) is not None:
            raise missing
        return Book(newest_seq(path), open_positions(read_state(path)))
    except NodeError as error:
        return Book(0, (), str(error))


def _journalled(live_dir: Path, newest: int) -> tuple[Book, pl.DataFrame, pl.DataFrame]:
    """The journal's positions, newest signals and newest events of the node; none where it cannot be read."""
    book, path = look(live_dir), live_dir / JOURNAL_FILE
    if not book.problem:
        try:
            return book, newest_events(path, SIGNALS.name, newest), newest_events(path, NODE, newest)
        except NodeError as error:
            book = Book(0, (), str(error))
    return book, frame(SIGNALS.name, "", []), frame(NODE, "", [])


def open_positions(state: JournalState) -> tuple[OpenPosition, ...]:
    """A journal's open positions with what the strategy intends, in the order of the markets' names."""
    plans = newest_plans(state)
    found = []
    for market, one in sorted(state.markets.items()):
        row, plan = one.position, plans.get(market)
        if row is None or not row["quantity"]:
            continue
        mine = plan if plan is not None and plan.stage != "closed" else None
        found.append(
            OpenPosition(
                market=market,
                quantity=row["quantity"],
                average_price=row["average_price"],
                stop_price=mine.stop_price if mine else None,
                target_price=mine.target_price if mine else None,
                expires_at=mine.expires_at if mine else None,
                signal_id=row["signal_id"],
                stop_kind=mine.stop_kind if mine else "stop_loss",
                targets=len(mine.targets) if mine else 0,
                targets_filled=mine.targets_filled if mine else 0,
            )
        )
    return tuple(found)
