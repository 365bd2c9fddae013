"""`trading prove-features`: whether features tell the truth, feature by feature."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from trading_assets.core.errors import TradingError
from trading_assets.core.timeframes import Timeframe
from trading_cli.console import console, progress

if TYPE_CHECKING:
    import polars as pl

    from trading_assets.features.framework.registry import Registry
    from trading_assets.features.proofs.proving import Verdict


def prove_features(
    module: Annotated[
        str, typer.Argument(help="A module or a file with features; without it, the project's own.", show_default=False)
    ] = "",
    market: Annotated[
        str,
        typer.Option(help="Prove on stored bars of this market too, not on made-up ones alone.", show_default=False),
    ] = "",
    timeframe: Annotated[str, typer.Option(help="Of the bars that they are proven on.")] = "15m",
    replayed: Annotated[int, typer.Option(min=100, help="Bars that the live proof replays.")] = 1_000,
) -> None:
    """Prove that features see no future, depend on no partition and are live what is stored; exit code 1 if not."""
    from trading_assets.features.proofs.extremes import made_up_extremes
    from trading_assets.features.proofs.proving import PROOFS, made_up_companions, prove

    bar = Timeframe.parse(timeframe)
    features = _registry(module).on(bar)
    needed = 2 * features.lookback_bars + replayed
    frames = {f"made-up bars of {bar}": made_up_extremes(needed, bar)}
    if market:
        frames[f"{market} {bar}"] = _stored(market, needed, bar)
    failed = False
    for name, bars in frames.items():
        with progress() as shown:
            task = shown.add_task(f"{len(features.names):,} features on {name}", total=len(PROOFS), note="")
            verdicts = prove(
                features,
                bars,
                made_up_companions(bars, bar),
                replayed=replayed,
                progress=lambda proof: shown.update(task, advance=1, note=proof),  # noqa: B023 - called in this turn
            )
            shown.update(task, note="")
        liars = [verdict for verdict in verdicts if not verdict.proven]
        failed |= bool(liars)
        console.print(_table(verdicts))
        for proof, remedy in PROOFS.items():
            if any(proof in liar.failures for liar in liars):
                console.print(f"[bold]{proof}[/]: {remedy}", highlight=False)
        console.print(f"{name}: {len(verdicts) - len(liars):,} of {len(verdicts):,} features proven")
        if unmet := sum(bool(verdict.unmet) for verdict in verdicts):
            console.print(
                f"{unmet:,} of them have conditions that these bars met in one way only (above): what the feature does "
                "otherwise is not proven; try --market with bars that meet them, or a larger --replayed"
            )
    if failed:
        raise typer.Exit(1)


def _table(verdicts: Iterable[Verdict]) -> Table:
    table = Table("feature", "verdict", "fails", "first divergent bar and its values, or conditions not met")
    for verdict in verdicts:
        if verdict.proven:
            met = "[yellow]proven as far as met[/]" if verdict.unmet else "[green]proven[/]"
            table.add_row(verdict.feature, met, "", escape("\n".join(str(one) for one in verdict.unmet)))
        for number, (proof, found) in enumerate(verdict.failures.items()):
            said = () if number else (verdict.feature, "[red]refuted[/]")
            table.add_row(*(said or ("", "")), proof, escape(str(found)))
    return table


def _registry(name: str) -> Registry:
    """The registries of a module as one; of a module that uses the project's decorator, its part of the project's."""
    from trading_assets.features import registry as _  # noqa: F401 - registers the project's own
    from trading_assets.features.framework.registry import REGISTRY, Registry

    if not name:
        return REGISTRY
    module = _load(name)
    own = [value for value in vars(module).values() if isinstance(value, Registry) and value is not REGISTRY]
    merged = Registry()
    declared = [declaration for one in own for declaration in one.declarations]
    try:
        for one in declared or [one for one in REGISTRY.declarations if one.function.__module__ == module.__name__]:
            merged.add(one)
    except ValueError as error:
        raise TradingError(str(error), where=name, remedy="give each feature a name of its own") from None
    if not merged.declarations:
        raise TradingError(
            "no features", where=name, remedy="decorate functions with @feature; see docs/how-to/add-a-feature.md"
        )
    return merged


def _load(name: str) -> ModuleType:
    """A file, or a module that can be imported from here; what it imports from beside it is found, too."""
    path = Path(name)
    sys.path.append(str(path.parent.resolve() if path.suffix == ".py" else Path.cwd()))
    try:
        if path.suffix != ".py":
            return importlib.import_module(name)
        if not path.is_file():
            raise ImportError("no such file")
        known_as = f"features_of.{path.stem}"  # not its bare name, which may be that of a module in use
        spec = importlib.util.spec_from_file_location(known_as, path)
        if spec is None or spec.loader is None:
            raise ImportError("no Python file")
        module = importlib.util.module_from_spec(spec)
        sys.modules[known_as] = module
        spec.loader.exec_module(module)
    except Exception as error:  # whatever a module of a user raises
        raise TradingError(
            f"cannot load it: {type(error).__name__}: {error}",
            where=name,
            remedy="give a file, or a module that can be imported; --debug shows where it fails",
        ) from error
    return module


def _stored(market: str, rows: int, timeframe: Timeframe) -> pl.DataFrame:
    from datetime import UTC, datetime

    from trading_assets.settings import load_settings
    from trading_assets.store import configured_store
    from trading_assets.store.tables import BARS

    store = configured_store(load_settings())
    return store.tail(
        BARS[timeframe.name], where={"market": market}, before=datetime.max.replace(tzinfo=UTC), rows=rows
    )
