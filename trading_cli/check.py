"""`trading check`: what the settings say, before anything runs."""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from math import ceil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final
from urllib.parse import urlsplit

import typer
from rich.table import Table

from trading_assets.core.candles import timeframe_minutes
from trading_assets.core.errors import SettingsError, TradingError
from trading_assets.settings import (
    ModelSettings,
    RuleStrategySettings,
    Settings,
    StrategySettings,
    load_settings,
    settings_file,
)
from trading_assets.settings.origin import origins
from trading_assets.settings.survey import addresses, below_break_even, unused
from trading_cli.console import console, synthetic_note
from trading_cli.sizes import show_sizes

_PORTS: Final = {"http": 80, "ws": 80, "https": 443, "wss": 443, "postgresql": 5432, "postgres": 5432}
_PATIENCE_S: Final = 3.0


def check() -> None:
    """Read the settings and say what will run; nothing is fetched or written.

    A wrong setting is an error with its file and line, and so is a data folder that cannot be used. What nothing reads,
    a model that the history cannot test or that the node would not ask, and addresses that do not answer, are warnings:
    the exit code is then 1.
    """
    from trading_assets.features.chosen import check_chosen
    from trading_live.execution.permission import described

    settings = load_settings()
    _refuse_unusable(settings.data_dir)
    check_chosen(settings)
    end = settings.history.end or "today"
    console.print(f"settings  {settings_file()}\ndata      {settings.data_dir}", soft_wrap=True)
    for plugin in settings.loaded_plugins:
        gives = ", ".join(f"{what} {' '.join(plugin.of(what))}" for what in dict.fromkeys(g.what for g in plugin.gives))
        console.print(f"plug-in   {plugin.file}: {gives or 'nothing'}", soft_wrap=True)
    console.print(f"history   {settings.history.start} to {end}")
    console.print(_markets(settings))
    if settings.models:
        console.print(_models(settings))
        show_sizes(settings)
    console.print(f"node      {described(settings)}", soft_wrap=True)
    idle = [f"{one} ({origins(one.key, {}, settings_file())[0].place})" for one in unused(settings)]
    losing = [f"{one} ({origins(one.key, {}, settings_file())[0].place})" for one in below_break_even(settings)]
    warnings = [
        *idle,
        *losing,
        *_too_short(settings),
        *_set_aside(settings),
        *_not_streamed(settings),
        *_silent(settings),
        *_not_permitted(settings),
    ]
    for line in warnings:
        console.print(f"[yellow]warning[/]   {line}", soft_wrap=True)
    if warnings:
        raise typer.Exit(1)
    console.print("[green]nothing to complain about[/]")


def _markets(settings: Settings) -> Table:
    start, end = _history(settings)
    table = Table("market", "candles", "funding", "rows at most")
    for name, market in settings.markets.items():
        rows = (end - start) / timedelta(minutes=timeframe_minutes(market.timeframe))
        kind = settings.sources[market.source].kind
        candles = f"{market.timeframe} from {market.source}" + (f" ({kind})" if kind != market.source else "")
        funding = (market.funding or market.source) if settings.has_funding(name) else "-"
        table.add_row(name, candles + synthetic_note([name]), funding, f"{rows:,.0f}")
    return table


def _models(settings: Settings) -> Table:
    table = Table("model", "reads", "folds at most", "held out")
    for name, model in settings.models.items():
        window = model.walk_forward
        reads = "\n".join([*model.markets, *_beside(model)])
        folds = f"{_folds(settings, name)} ({window.train_days:g} + {window.test_days:g} days)"
        decides = f"{settings.timeframe_of(name)} {' and '.join(side.word for side in model.sides)}"
        table.add_row(f"{name}{synthetic_note(model.markets)}\n{decides}", reads, folds, f"{model.holdout_days:g} days")
    return table


def _beside(model: StrategySettings) -> list[str]:
    """What it reads beside the bars of its markets, or by what rule it reads them."""
    if isinstance(model, RuleStrategySettings):
        return [f"by the rule {model.rule.kind}"]
    return [f"its {companion}" for companion in model.companions] if isinstance(model, ModelSettings) else []


def _folds(settings: Settings, name: str) -> int:
    """How many test windows a model has at most: of the history less what comes before the first and is held out."""
    from trading_assets.validation.walk_forward import MIN_TEST_SHARE

    (start, end), model = _history(settings), settings.models[name]
    window = model.walk_forward
    before = window.train_days + window.purge_days + window.embargo_days + model.holdout_days
    tested = end - start - _look_back(settings, name) - timedelta(days=before)
    return max(0, ceil(tested / timedelta(days=window.test_days) - MIN_TEST_SHARE))  # a shorter rest joins the last one


def _look_back(settings: Settings, name: str) -> timedelta:
    """How much of the history passes before a model has its first row."""
    from trading_assets.features import lookback_bars
    from trading_assets.labels import label_sets
    from trading_assets.strategies.rules import rule_of

    model, timeframe = settings.models[name], settings.timeframe_of(name)
    bars = label_sets.lookback_bars(settings.labels_of(name))
    if isinstance(model, RuleStrategySettings):
        bars = max(bars, rule_of(model.rule).lookback_bars)
    elif isinstance(model, ModelSettings):
        bars = max(bars, lookback_bars(timeframe, model.features or None, settings.plugged))
    return bars * timeframe.length


def _too_short(settings: Settings) -> list[str]:
    """A line for each model that the history cannot test once, with what it is used up by."""
    lines = []
    for name, model in settings.models.items():
        if _folds(settings, name):
            continue
        start, end = _history(settings)
        window, back = model.walk_forward, _look_back(settings, name) / timedelta(days=1)
        gap = window.purge_days + window.embargo_days
        lines.append(
            f"models.{name}: {(end - start).days} days of history leave nothing to test: {back:.0f} pass before what "
            f"it reads is there, {window.train_days:g} are trained on, {gap:g} purged, {model.holdout_days:g} held "
            "out; take a longer history, shorter windows, or `features` that look back less"
        )
    return lines


def _set_aside(settings: Settings) -> list[str]:
    """A line for each model on whose bars another decides too: only one of them can be deployed."""
    lines: list[str] = []
    found: dict[tuple[str, str], str] = {}
    for name, model in settings.models.items():
        timeframe = settings.timeframe_of(name).name
        shared = {market: found[market, timeframe] for market in model.markets if (market, timeframe) in found}
        found |= {(market, timeframe): name for market in model.markets}
        lines += [
            f"models.{name}: {other} decides on the {timeframe} bars of {market} too; both can be researched, one can "
            "trade: the second is refused where it is promoted, until the first is archived"
            for market, other in shared.items()
        ]
    return lines


def _history(settings: Settings) -> tuple[date, date]:
    return settings.history.start, settings.history.end or datetime.now(UTC).date()


def _refuse_unusable(folder: Path) -> None:
    """Raise ``TradingError`` where the data folder cannot be made or written; a try leaves nothing behind."""
    there = next(one for one in (folder, *folder.parents) if one.exists())
    try:
        with TemporaryDirectory(prefix=".trading-check-", dir=there):
            return
    except OSError as error:
        raise TradingError(
            f"the data folder cannot be {'written' if there == folder else 'made'}: {there}: {error.strerror}",
            where=str(folder),
            remedy="choose another with data_dir or --data-dir",
        ) from None


def _not_streamed(settings: Settings) -> list[str]:
    """A line for each model whose bars the node's venue does not stream: it can be trained, not traded."""
    from trading_live.venues.registry import venue_of

    try:
        venue = venue_of(settings)
    except SettingsError:  # the replay of another venue: the node says so
        return []
    lines = []
    for name, model in settings.models.items():
        timeframe = settings.timeframe_of(name).name
        refusals = (venue.refusal(market, timeframe) for market in model.markets if venue.carries(market))
        lines += [f"models.{name}: {why}" for why in refusals if why is not None][:1]
    return lines


def _not_permitted(settings: Settings) -> list[str]:
    """What `mode: live` lacks, as far as settings and environment can say."""
    from trading_live.execution.permission import missing

    lacking = missing(settings)
    return [] if lacking is None else [f"node.mode live: {lacking}"]


def _silent(settings: Settings) -> list[str]:
    """A line for each address at which nobody answers."""
    found = addresses(settings)
    with ThreadPoolExecutor(max(len(found), 1)) as pool:
        problems = pool.map(lambda one: _problem(one[1]), found)
    return [f"{key}: {problem}" for (key, _), problem in zip(found, problems, strict=True) if problem]


def _problem(url: str) -> str:
    parts = urlsplit(url)
    try:
        host, port = parts.hostname, parts.port or _PORTS.get(parts.scheme.partition("+")[0])
    except ValueError as error:
        return f"not an address: {error}"
    if not host or port is None:
        return "an address needs a host, and a port where its scheme does not say it"
    try:
        with socket.create_connection((host, port), timeout=_PATIENCE_S):
            return ""
    except socket.gaierror:
        return f"unknown host {host}"
    except OSError as error:
        return f"{host}:{port} does not answer ({error.strerror or type(error).__name__})"
