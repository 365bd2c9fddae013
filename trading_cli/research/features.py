"""`trading prove-features`: whether features tell the truth, feature by feature."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.markup import escape
from rich.table import Column, Table

from trading_assets.core.errors import TradingError
from trading_assets.core.timeframes import Timeframe
from trading_assets.settings import load_settings
from trading_cli.console import console, progress
from trading_cli.research.loading import load_own

if TYPE_CHECKING:
    import polars as pl

    from trading_assets.features.framework.feature_set import FeatureSet
    from trading_assets.features.framework.registry import Registry
    from trading_assets.features.proofs.proving import Verdict


TIMEFRAMES: Final = ("1m", "15m", "1h", "1d")
"""What features are proven on where nothing else is asked for: windows in time have few and many bars on these."""


def prove_features(
    module: Annotated[
        str,
        typer.Argument(
            help="A module or a file with features; without it, the project's and those of its `plugins`.",
            show_default=False,
        ),
    ] = "",
    market: Annotated[
        str,
        typer.Option(help="Prove on stored bars of this market too, not on made-up ones alone.", show_default=False),
    ] = "",
    timeframe: Annotated[
        list[str] | None,
        typer.Option(
            help="Of the bars; may be given several times. By default 1m, 15m, 1h, 1d; of a market those of models.",
            show_default=False,
        ),
    ] = None,
    replayed: Annotated[int, typer.Option(min=100, help="Bars that the live proof replays.")] = 1_000,
) -> None:
    """Prove that features see no future, depend on no partition and are live what is stored; exit code 1 if not."""
    registry = _registry(module)
    wanted = timeframe or (_timeframes_of(market) if market else list(TIMEFRAMES))
    proven: dict[str, list[Verdict]] = {}
    for bar in dict.fromkeys(Timeframe.parse(text) for text in wanted):
        features = registry.defined(bar)
        if features.names:
            for name, bars in _frames(features, market, replayed).items():
                proven[name] = _proven(features, name, bars, replayed)
    if not proven:
        raise TradingError(
            f"none of its features is defined on {', '.join(wanted)}",
            where=module,
            remedy="choose a finer --timeframe, or declare a smaller `minimum` of bars",
        )
    console.print(_verdicts(registry.declared, proven))
    if (findings := _findings(proven)).row_count:
        console.print(findings)
    _summary(registry, proven)
    if any(not verdict.proven for verdicts in proven.values() for verdict in verdicts):
        raise typer.Exit(1)


def _frames(features: FeatureSet, market: str, replayed: int) -> dict[str, pl.DataFrame]:
    """The bars to prove on, by what they are called."""
    from trading_assets.features.proofs.extremes import made_up_extremes

    needed = 2 * features.lookback_bars + replayed
    frames = {f"made-up {features.timeframe}": made_up_extremes(needed, features.timeframe)}
    if market:
        frames[f"{market} {features.timeframe}"] = _stored(market, needed, features.timeframe)
    return frames


def _proven(features: FeatureSet, name: str, bars: pl.DataFrame, replayed: int) -> list[Verdict]:
    from trading_assets.features.proofs.proving import PROOFS, made_up_companions, prove

    with progress() as shown:
        task = shown.add_task(f"{len(features.names):,} features on {name} bars", total=len(PROOFS), note="")
        verdicts = prove(
            features,
            bars,
            made_up_companions(bars, features.timeframe),
            replayed=replayed,
            progress=lambda proof: shown.update(task, advance=1, note=proof),
        )
        shown.update(task, note="")
    return verdicts


def _verdicts(names: Iterable[str], proven: Mapping[str, Sequence[Verdict]]) -> Table:
    """One row for each feature, one column for each kind of bars."""
    table = Table(Column("feature", no_wrap=True), *proven)
    said = {name: {verdict.feature: _said(verdict) for verdict in verdicts} for name, verdicts in proven.items()}
    for feature in names:
        table.add_row(feature, *(by_feature.get(feature, "[dim]not defined[/]") for by_feature in said.values()))
    return table


def _said(verdict: Verdict) -> str:
    if not verdict.proven:
        return "[red]refuted[/]"
    return "[yellow]proven as far as met[/]" if verdict.unmet else "[green]proven[/]"


def _findings(proven: Mapping[str, Sequence[Verdict]]) -> Table:
    """What was found, of each feature and proof on the first bars that showed it."""
    found: dict[tuple[str, str], tuple[str, list[str]]] = {}
    for bars, verdicts in proven.items():
        for verdict in verdicts:
            for proof, failure in verdict.failures.items():
                found.setdefault((verdict.feature, proof), (str(failure), []))[1].append(bars)
            if verdict.unmet:
                unmet = "\n".join(str(one) for one in verdict.unmet)
                found.setdefault((verdict.feature, "-"), (unmet, []))[1].append(bars)
    table = Table(
        Column("feature", no_wrap=True), "fails", "on", "first divergent bar and its values, or conditions not met"
    )
    for (feature, proof), (what, frames) in found.items():
        table.add_row(feature, proof, ", ".join(frames), escape(what))
    return table


def _summary(registry: Registry, proven: Mapping[str, Sequence[Verdict]]) -> None:
    """What to do about failures, and how many features are proven on which bars."""
    from trading_assets.features.proofs.proving import PROOFS

    failed = {proof for verdicts in proven.values() for verdict in verdicts for proof in verdict.failures}
    for proof in PROOFS:
        if proof in failed:
            console.print(f"[bold]{proof}[/]: {PROOFS[proof]}", highlight=False)
    for name, verdicts in proven.items():
        left_out = len(registry.declared) - len(verdicts)
        not_defined = f"; {left_out:,} are not defined on them" if left_out else ""
        honest = sum(verdict.proven for verdict in verdicts)
        console.print(f"{name}: {honest:,} of {len(verdicts):,} features proven{not_defined}")
    if unmet := sum(bool(verdict.unmet) for verdicts in proven.values() for verdict in verdicts):
        console.print(
            f"{unmet:,} of them have conditions that these bars met in one way only (above): what the feature does "
            "otherwise is not proven; try --market with bars that meet them, or a larger --replayed"
        )


def _registry(name: str) -> Registry:
    """The registries of a module as one; of a module that uses the project's decorator, its part of the project's."""
    from trading_assets.features import registry as _  # noqa: F401 - registers the project's own
    from trading_assets.features.framework.registry import REGISTRY, Registry

    if not name:
        return REGISTRY.seen_by(load_settings().plugged)
    plugin = load_own(name)
    values = vars(sys.modules[plugin.module]).values()
    own = [value for value in values if isinstance(value, Registry) and value is not REGISTRY]
    merged = Registry()
    declared = [declaration for one in own for declaration in one.declarations]
    try:
        for one in declared or REGISTRY.of_plugin(plugin.owner):
            merged.add(one)
    except ValueError as error:
        raise TradingError(str(error), where=name, remedy="give each feature a name of its own") from None
    if not merged.declarations:
        raise TradingError(
            "no features", where=name, remedy="decorate functions with @feature; see docs/how-to/add-a-feature.md"
        )
    return merged


def _stored(market: str, rows: int, timeframe: Timeframe) -> pl.DataFrame:
    from datetime import UTC, datetime

    from trading_assets.store import configured_store
    from trading_assets.store.tables import BARS

    store, table = configured_store(load_settings()), BARS[timeframe.name]
    bars = store.tail(table, where={"market": market}, before=datetime.max.replace(tzinfo=UTC), rows=rows)
    if bars.is_empty():
        raise TradingError(
            f"no bars of {timeframe} are stored",
            where=market,
            remedy="choose another --timeframe, or let a label set have this one, and run trading backfill",
        )
    return bars


def _timeframes_of(market: str) -> list[str]:
    """The timeframes that the settings' models decide on there."""
    from trading_assets.settings import load_settings
    from trading_assets.settings.demand import asked_timeframes, timeframes_of

    settings = load_settings()
    known = market in settings.markets
    return [one.name for one in (timeframes_of(settings, market) if known else asked_timeframes(settings))]
