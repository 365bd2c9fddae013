"""`trading record`: order books and public trades, live, into the tables."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from trading_assets.core.candles import Market
from trading_assets.core.errors import SettingsError, TradingError
from trading_assets.settings import Settings, load_settings, logs
from trading_cli.console import console, progress

if TYPE_CHECKING:
    from trading_live.recording.recorder import RecordStats

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def record(
    market: Annotated[list[str] | None, typer.Option(help="A market; repeatable. Default: all of the venue.")] = None,
    duration: Annotated[str | None, typer.Option("--for", help="How long, e.g. 30s, 10m, 8h. Default: no end.")] = None,
    depth: Annotated[int | None, typer.Option(min=1, max=100, help="Levels of each side.", show_default=False)] = None,
    venue: Annotated[str | None, typer.Option(help="Instead of node.venue.", show_default=False)] = None,
    environment: Annotated[str | None, typer.Option(help="replay, testnet or live.", show_default=False)] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Of the local exchange.", show_default=False)
    ] = None,
    load: Annotated[bool, typer.Option(help="Bring it into the tables at the end.")] = True,
) -> None:
    """Record a venue's order books and public trades until Ctrl-C; no key is needed.

    What is received is on disk within a second and goes into book_snapshots, public_trades and recording_gaps exactly
    once: at the end, or while it runs by the sensor recordings_ingest. Nothing is bought or sold.
    """
    seconds = None if duration is None else _seconds(duration)
    from trading_assets.core.unread import unread
    from trading_live.operations.interrupts import ends_quietly

    with unread(logs.dropped), ends_quietly():
        settings = _settings(venue, environment, depth, port)
        markets = _markets(settings, market)
        logs.configure(settings, "record")
        place = f"{settings.node.venue} ({settings.node.environment})"
        console.print(f"recording {', '.join(markets)} on {place}; Ctrl-C ends it in order")
        failure = _record(settings, markets, seconds)
        if load:
            _load(settings)
        if failure is not None:
            raise failure


def _record(settings: Settings, markets: list[str], seconds: float | None) -> TradingError | None:
    """Record; a failure is told only after what came before it was loaded."""
    from trading_live.recording.record import run_recorder
    from trading_live.recording.recorder import RecordHooks

    with progress() as bar:
        task = bar.add_task("record", total=seconds, note="connects")

        def show(now: RecordStats) -> None:
            bar.update(task, completed=min(now.seconds, seconds) if seconds else None, note=_note(now))

        try:
            stats = run_recorder(
                settings,
                markets,
                seconds=seconds,
                hooks=RecordHooks(show, lambda text: console.print(f"[yellow]{text}[/]")),
            )
        except TradingError as error:
            return error
    console.print(f"recorded {_note(stats)}")
    return None


def _note(now: RecordStats) -> str:
    rates = (f"{count:,} {name} ({count / max(now.seconds, 1e-9):,.1f}/s)" for name, count in _counts(now))
    lag = "" if now.lag_s is None else f", lag {now.lag_s:.2f} s"
    lost = f", {now.reconnects} connections lost" if now.reconnects else ""
    gaps = f", {now.gaps} gaps" if now.gaps else ""
    state = "" if now.connected else "; [red]not connected[/]"
    return f"{', '.join(rates)}, {now.bytes / 1e6:.1f} MB{lag}{lost}{gaps}{state}"


def _counts(now: RecordStats) -> list[tuple[str, int]]:
    candles = [] if now.candles is None else [("candles", now.candles)]
    return [("trades", now.trades), ("books", now.books), *candles]


def _load(settings: Settings) -> None:
    from trading_assets.recordings import load_recordings, load_streamed, spool_folder
    from trading_assets.sources.ingest.streamed import take_streamed
    from trading_assets.store import configured_store

    store, folder = configured_store(settings), spool_folder(settings)
    report = load_recordings(store, folder, keep=settings.record.keep_segments)
    candles = load_streamed(folder, lambda rows: take_streamed(store, rows, now=datetime.now(UTC)))
    rows = ", ".join(f"{count:,} {table}" for table, count in report.rows.items())
    repeated = sum(report.repeated.values())
    torn = f"; {report.torn_bytes:,} bytes of an unfinished write left out" if report.torn_bytes else ""
    console.print(f"loaded {rows} from {report.segments} segments ({repeated:,} came twice){torn}")
    if candles:
        console.print(f"stored {candles:,} streamed candles that had waited")


def _settings(venue: str | None, environment: str | None, depth: int | None, port: int | None) -> Settings:
    """The settings with the flags over them."""
    flags: dict[str, dict[str, object]] = {
        "node": {"venue": venue, "environment": environment},
        "record": {"depth": depth},
        "replay": {"port": port},
    }
    given = {
        name: {key: value for key, value in section.items() if value is not None} for name, section in flags.items()
    }
    return load_settings(**{name: section for name, section in given.items() if section})


def _markets(settings: Settings, wanted: list[str] | None) -> list[str]:
    """What is recorded: what was asked for, or the settings' markets on the venue; a replay has all of them."""
    from trading_live.venues.registry import venue_of

    venue = venue_of(settings)
    if wanted:
        parsed = [str(Market.parse(market)) for market in dict.fromkeys(wanted)]
        foreign = [market for market in parsed if not venue.carries(market)]
        if foreign:
            raise SettingsError(
                f"{', '.join(foreign)}: not a market of {settings.node.venue}",
                where="--market",
                remedy="name the venue with --venue; one recorder serves one venue",
            )
        return parsed
    found = [one for one in settings.markets if venue.carries(one)]
    if not found:
        raise SettingsError(
            f"no market of {settings.node.venue} in the settings",
            where="markets",
            remedy="name one: --market binance:BTC/USDT:USDT",
        )
    return found


def _seconds(text: str) -> float:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", text.strip())
    if match is None or float(match[1]) == 0:
        raise SettingsError(f"{text!r} is not a length of time", where="--for", remedy="write e.g. 30s, 10m, 8h or 2d")
    return float(match[1]) * _UNITS[match[2]]
