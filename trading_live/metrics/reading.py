"""The node's objects as a page of numbers: read once a second on the engine's thread, where they may be touched."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Container, Iterable, Mapping
from contextlib import suppress
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Final, get_args

from trading_assets.core.candles import timeframe_delta
from trading_assets.journal import JOURNAL_FILE, BufferedJournal
from trading_assets.monitoring.exported.page import Page
from trading_assets.settings import Settings
from trading_live.metrics import catalogue as m
from trading_live.metrics.account import Positions, read_account
from trading_live.metrics.connections import Connections
from trading_live.metrics.counting import Counts
from trading_live.metrics.parts import Histories, Parts
from trading_live.operations import kill_switch
from trading_live.operations.health import kind_of
from trading_live.operations.heartbeat import Heartbeat, State

_VERSION: Final = version("trading-assets")
_STATES: Final = get_args(State)


def read_process(page: Page, beat: Heartbeat, settings: Settings, journal: BufferedJournal) -> None:
    """What a node says of itself, with or without an engine."""
    page.set(m.INFO, 1, beat.node, beat.venue, beat.environment, beat.mode, _VERSION)
    for state in _STATES:
        page.set(m.STATE, state == beat.state, state)
    page.set(m.STARTED, beat.started_at.timestamp())
    page.set(m.MARKET_TIME, None if beat.market_time is None else beat.market_time.timestamp())
    page.set(m.HALTED, beat.halted is not None)
    page.set(m.KILL_SWITCH, kill_switch.engaged(settings.live_dir) is not None)
    page.set(m.JOURNAL_TROUBLE, journal.trouble is not None)
    page.set(m.JOURNAL_WAITING, journal.waiting)
    with suppress(OSError):
        page.set(m.JOURNAL_BYTES, sum(file.stat().st_size for file in _files(settings.live_dir)))
    with suppress(OSError):
        page.set(m.DISK_FREE, shutil.disk_usage(settings.live_dir).free)
    page.set(m.DISK_LEAST, settings.node.min_free_mb * 1e6)
    _models(page, beat)
    for market, why in beat.untrusted.items():
        page.set(m.UNTRUSTED, 1, market, kind_of(why))
    for market, end in beat.last_bars.items():
        page.set(m.BAR_END, end.timestamp(), market)
        page.set(m.WAITING, market in beat.waiting, market)


def _files(live_dir: Path) -> Iterable[Path]:
    return live_dir.glob(f"{JOURNAL_FILE}*")


def _models(page: Page, beat: Heartbeat) -> None:
    for role, several in (("champion", beat.models), ("challenger", beat.challengers)):
        for one in several:
            page.set(m.MODEL_INFO, 1, one.model, one.version, one.bundle_hash[:16], role)
    refused = len(beat.refused.keys() - beat.last_bars.keys())  # markets are refused there, too
    counts = {"in_use": len(beat.models), "challenger": len(beat.challengers), "refused": refused}
    page.set_all(m.MODELS, counts | {"set_aside": len(beat.challengers_aside)})


def read_parts(
    page: Page,
    parts: Parts,
    connections: Connections,
    counts: Counts,
    settings: Settings,
    positions: Positions,
    *,
    began: float,
) -> None:
    """What only an engine has; ``began`` is the monotonic second since when it decides."""
    _bars(page, parts, counts, settings, began)
    queues = parts.strategy.queue_lengths | {"history": len(parts.loader), "challengers": len(parts.challengers)}
    page.set_all(m.QUEUE, queues)
    stands = Counter(connections.connected.values())
    page.set_all(m.SOCKETS, {"connected": stands[True], "disconnected": stands[False]})
    page.set_all(m.ENGINE_QUEUE, connections.depths)
    read_account(page, parts, positions, _prices(parts.signals, positions))
    page.set_all(m.FEES, counts.fees)
    for guard in parts.guards:
        _guard(page, guard)


def _bars(page: Page, parts: Parts, counts: Counts, settings: Settings, began: float) -> None:
    silence = settings.node.feed.max_silence_s
    finest: dict[str, float] = {}
    streams = [(market, name) for market in parts.instruments for name, _ in parts.strategy.streams(market)]
    for market, timeframe in streams:
        length = timeframe_delta(timeframe).total_seconds()
        finest[market] = min(length, finest.get(market, length))
    for market, length in finest.items():
        page.since(m.BAR_AGE, counts.heard.get(market, began), market)
        page.set(m.BAR_LIMIT, length + silence, market)
    decided = [timeframe_delta(stream.timeframe).total_seconds() for stream in parts.signals.histories]
    page.since(m.DECISION_AGE, max(counts.decided or began, began))
    page.set(m.DECISION_LIMIT, 2 * min(decided) + silence if decided else None)
    if settings.node.environment != "replay" and counts.early_s:
        page.set(m.CLOCK, max(counts.early_s.values()))


def _prices(signals: Histories, markets: Container[str]) -> dict[str, float]:
    """Market -> its newest close that decisions read, of those asked for."""
    found: dict[str, tuple[datetime, float]] = {}
    for stream, history in signals.histories.items():
        if stream.market not in markets:
            continue
        last = history.last
        if last is not None and (stream.market not in found or last > found[stream.market][0]):
            found[stream.market] = last, float(history.frame["close"][-1])
    return {market: close for market, (_, close) in found.items()}


def _guard(page: Page, guard: object) -> None:
    """What protections and reconciliation say, where a node has them."""
    held = getattr(guard, "held", None)
    if isinstance(held, Mapping):
        page.set(m.RISK_STATE, 0, "node")
        for (scope, cause), change in held.items():
            so_far = page.values[m.RISK_STATE].get((str(scope),), 0.0)
            page.set(m.RISK_STATE, max(so_far, int(change.state)), scope)
            page.set(m.RISK_HOLD, int(change.state), scope, cause)
    differences = getattr(guard, "differences", None)
    if isinstance(differences, Mapping):
        for market, count in differences.items():
            page.set(m.DIFFERENCES, count if isinstance(count, (int, float)) else len(count), market)
    page.since(m.RECONCILED_AGE, getattr(guard, "compared_at", None))
