"""`trading placebo`: whether the research approves what is not there, and finds what is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from trading_assets.core.cores import cores
from trading_assets.core.errors import MissingCandles, SettingsError
from trading_assets.core.sides import Side
from trading_assets.core.timeframes import Timeframe
from trading_assets.settings import EstimatorSettings, Settings, load_settings, logs
from trading_assets.settings.names import instead
from trading_cli.console import console, counted_progress
from trading_cli.market_data.backfill import require_models

if TYPE_CHECKING:
    import polars as pl

    from trading_assets.placebo import Outcome, Verdict


def placebo(
    model: Annotated[str | None, typer.Option(help="Whose windows, learner and threshold. Default: the first.")] = None,
    null: Annotated[int, typer.Option(min=0, help="Worlds with nothing to find.")] = 60,
    planted: Annotated[int, typer.Option(min=0, help="Worlds with a planted edge.")] = 10,
    reverting: Annotated[
        int, typer.Option(min=0, help="Worlds that give back a share of each move (--edge): for rules that fade moves.")
    ] = 0,
    days: Annotated[
        int | None,
        typer.Option(min=30, help="Length of each world's history. Default: enough for eight test windows."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Other seeds are other worlds.")] = 1,
    market: Annotated[
        str | None, typer.Option(help="A stored market that null worlds are made from. Default: a synthetic one.")
    ] = None,
    timeframe: Annotated[
        str | None,
        typer.Option(
            help="Decide on bars of another timeframe than the model's label set: its windows keep their bars, its "
            "fixed barriers widen by the root of the ratio."
        ),
    ] = None,
    side: Annotated[
        list[str] | None, typer.Option(help="long or short instead of the model's sides; twice for both.")
    ] = None,
    estimator: Annotated[
        str | None, typer.Option(help="Learn by another kind of estimator with its defaults, e.g. logistic.")
    ] = None,
    candles: Annotated[
        str | None,
        typer.Option(help="Timeframe of synthetic candles. Default: 12 or more to a bar, and one minute at least."),
    ] = None,
    edge: Annotated[
        float | None,
        typer.Option(
            min=0.01,
            help="Strength of the planted edge, in deviations of a return; of reverting worlds the share of a move "
            "that is given back, at most 1. Default: 0.75, the sample's.",
        ),
    ] = None,
    search: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Search the older part of each world by so many trials first, and judge what is found on the rest, "
            "with all trials counted.",
        ),
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes. Default: one per core.")] = None,
) -> None:
    """Judge worlds whose truth is known by the gates in force; exit code 1 where they err.

    Every world goes through the same functions as a market: bars, features, labels, walk-forward, backtest, gates. A
    run that is stopped goes on where it was.
    """
    settings = load_settings()
    logs.configure(settings, "placebo")
    from trading_assets.placebo import Plan, carried_over, history_days, outcomes, run_worlds, worlds

    require_models(settings)
    name = model or next(iter(settings.models))
    if name not in settings.models:
        raise SettingsError(f"no model {name!r}", where="--model", remedy=instead(name, settings.models))
    settings = carried_over(
        settings,
        name,
        timeframe=Timeframe.parse(timeframe) if timeframe else None,
        sides=_sides(side or []),
        estimator=_estimator(estimator) if estimator else None,
    )
    spec = settings.models[name]
    days = days or history_days(spec, unseen_share=settings.search.unseen_share if search else None)
    plan = Plan(
        worlds=worlds(
            null=null,
            planted=planted,
            reverting=reverting,
            days=days,
            seed=seed,
            timeframe=settings.labels[spec.label].timeframe,
            sides=spec.sides,
            candles=candles,
            edge=edge,
        ),
        settings=settings,
        model=name,
        source=_candles(settings, market) if market else None,
        folder=settings.data_dir / "placebo",
        workers=workers or cores(),
        trials=search or 0,
    )
    with counted_progress() as bar:
        task = bar.add_task("worlds", total=len(plan.worlds), note="")

        def follow(verdict: Verdict) -> None:
            said = "[green]approved[/]" if verdict.approved else f"refused: {', '.join(verdict.failed)}"
            bar.update(task, advance=1, note=f"{verdict.kind} {verdict.seed} {said}")

        found = outcomes(run_worlds(plan, follow))
    console.print(table(found, days, market))
    if bad := [outcome.kind for outcome in found if not outcome.passed]:
        console.print(f"[red]not as it must be: {', '.join(bad)}[/]; the verdicts are in {plan.file}")
        raise typer.Exit(1)


def _sides(words: list[str]) -> list[Side]:
    try:
        return [Side.parse(word) for word in words]
    except ValueError as error:
        raise SettingsError(str(error), where="--side") from None


def _estimator(kind: str) -> EstimatorSettings:
    from trading_assets.settings.sections.estimators import ESTIMATORS
    from trading_assets.settings.sections.section import Misfit

    try:
        return ESTIMATORS.read({"kind": kind})
    except Misfit as error:
        raise SettingsError(str(error), where="--estimator") from None


def table(found: list[Outcome], days: int, market: str | None) -> Table:
    """How often each kind was approved."""
    origin = f"null worlds made from {market}" if market else "all SYNTHETIC"
    shown = Table(
        "world",
        "worlds",
        "approved",
        "95 % interval",
        "refused by",
        "as it must be",
        title=f"{days} days each, {origin}",
    )
    for row in found:
        shown.add_row(
            row.kind,
            f"{row.worlds}",
            f"{row.approved}",
            f"{row.low:.1%} to {row.high:.1%}",
            ", ".join(f"{gate} {count}" for gate, count in row.refusals.items()),
            "[green]yes[/]" if row.passed else "[red]NO[/]",
        )
    return shown


def _candles(settings: Settings, market: str) -> pl.DataFrame:
    """The stored candles of a market."""
    from trading_assets.store import configured_store
    from trading_assets.store.tables import CANDLES

    if market not in settings.markets:
        raise SettingsError(f"no market {market!r}", where="--market", remedy=instead(market, settings.markets))
    where = {"market": market, "timeframe": settings.markets[market].timeframe}
    candles = configured_store(settings).read(CANDLES, where=where)
    if candles.is_empty():
        raise MissingCandles("no candles are stored", where=market, remedy=f"trading backfill --market {market}")
    return candles
