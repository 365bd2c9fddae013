"""`trading screen`: thousands of parameter sets of a rule in a minute, in the older part of its history."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from trading_assets.settings import Settings
from trading_assets.settings.names import check_known
from trading_cli.console import console, counted_progress
from trading_cli.research.of_model import Model, begin, note_of, refuse_failed

if TYPE_CHECKING:
    from trading_assets.launch import Event

_PERCENT = ("net", "max_drawdown", "win_rate")


def screen(
    model: Model,
    sets: Annotated[
        int, typer.Option(min=1, help="How many parameter sets are tried at most; each is a trial.")
    ] = 1000,
    top: Annotated[int, typer.Option(min=1, help="How many of the best are shown.")] = 10,
    grid: Annotated[bool, typer.Option("--grid/--random", help="A grid of the space, or random sets of it.")] = False,
    seed: Annotated[int | None, typer.Option(help="Of random sets. Default: search.seed.")] = None,
) -> None:
    """Trade many parameter sets of a model's rule by arithmetic, on the older part of its history.

    What may be tried stands in the section `search` of the settings. The newest `search.unseen_share` of the history is
    not looked at, and judges afterwards: `trading train`. Every set counts as a trial.

    Example: trading screen trend --sets 10000 --top 5
    """
    settings = begin("screen")
    check_known(model, settings.models, "model")
    if seed is not None:
        settings = settings.model_copy(update={"search": settings.search.model_copy(update={"seed": seed})})
    _show(settings, model, _run(settings, model, sets=sets, grid=grid, top=top))


def _run(settings: Settings, model: str, **asked: Any) -> dict[str, Any]:
    with console.status("loading the asset graph"):
        from trading_assets.launch import screen_model
    with counted_progress() as bar:
        task = bar.add_task(f"sets of {model}{note_of(settings, model)}", total=None, note="")

        def follow(event: Event) -> None:
            if event.trials is not None:
                done, total = event.trials
                bar.update(task, completed=done, total=total)

        result = screen_model(settings, model, follow, **asked)
    return refuse_failed(result).materialized["screening"]


def _show(settings: Settings, model: str, found: dict[str, Any]) -> None:
    span = f"{found['screened_from']} to {found['tested_from']}"
    note = note_of(settings, model)
    console.print(f"{found['trials']:,} sets of {model}{note}, traded by every signal from {span}, costs included")
    table = Table(box=None)
    for name in found["best_sets"][0]:
        table.add_column(name, justify="right")
    for row in found["best_sets"]:
        table.add_row(*(_text(name, value) for name, value in row.items()))
    console.print(table)
    yaml = found["fragment"].removeprefix("```yaml\n").removesuffix("```")
    console.print(yaml, markup=False, highlight=False, soft_wrap=True)
    for line in (
        f"the best set is in {found['fragment_file']}: put it over models.{model} in {settings.file}, "
        f"then `trading train {model}`",
        f"the heat map is {found['picture']}, all sets with their daily returns are in {found['returns_file']}",
    ):
        console.print(line, soft_wrap=True, highlight=False)


def _text(name: str, value: Any) -> str:
    if isinstance(value, float):
        return f"{value:+.1%}" if name == "net" else f"{value:.1%}" if name in _PERCENT else f"{value:.4g}"
    return str(value)
