"""`trading search`: parameters found in the older part of the history, judged on what no trial saw."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from trading_assets.settings import Settings
from trading_assets.settings.names import check_known
from trading_cli.console import console, counted_progress
from trading_cli.research.of_model import Model, begin, note_of, refuse_failed

if TYPE_CHECKING:
    from trading_assets.launch import Event


def search(
    model: Model,
    trials: Annotated[
        int | None, typer.Option(min=1, help="How many are tried, those of an earlier run included. Default: settings.")
    ] = None,
    minutes: Annotated[
        float | None, typer.Option(min=0.01, help="No trial begins later than this. Default: settings.")
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Trials at the same time; with 1 the same is found again. Default: settings."),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume/--anew", help="Go on with an earlier search of the same settings and data, or begin anew."
        ),
    ] = True,
) -> None:
    """Search a model's parameters in the older part of its history, and judge what is found on the newer part.

    What may be tried stands in the section `search` of the settings. Every trial counts: the gates deflate the Sharpe
    ratio of what is found by all of them. A search that is stopped goes on where it was.
    """
    settings = begin("search")
    check_known(model, settings.models, "model")
    given = {"trials": trials, "minutes": minutes, "workers": workers}
    asked = settings.search.model_copy(update={name: value for name, value in given.items() if value is not None})
    settings = settings.model_copy(update={"search": asked})
    found = _run(settings, model, anew=not resume)
    _show(settings, model, found)


def _run(settings: Settings, model: str, *, anew: bool) -> dict[str, Any]:
    with console.status("loading the asset graph"):
        from trading_assets.launch import search_model
    with counted_progress() as bar:
        task = bar.add_task(f"trials of {model}{note_of(settings, model)}", total=None, note="")

        def follow(event: Event) -> None:
            if event.trials is not None:
                done, total = event.trials
                bar.update(task, completed=done, total=total, note=event.message)

        result = search_model(settings, model, follow, anew=anew)
    return refuse_failed(result).materialized["parameter_search"]


def _show(settings: Settings, model: str, found: dict[str, Any]) -> None:
    note = note_of(settings, model)
    said = f"{found['trials']} trials of {model}{note}; the best is worth {found['value']:.2f} where it was searched"
    console.print(said)
    yaml = found["fragment"].removeprefix("```yaml\n").removesuffix("```")
    console.print(yaml, markup=False, highlight=False, soft_wrap=True)
    unseen = f"on the windows from {found['tested_from']} on, which no trial saw"
    if "not_judged" in found:
        console.print(f"[red]not judged[/] {unseen}: {found['not_judged']}")
    else:
        sharpe, dsr = found["unseen_sharpe"], found["unseen_dsr"]
        verdict = (
            "[green]passes all gates[/]" if found["passes_gates"] else f"refused by {', '.join(found['refused_by'])}"
        )
        console.print(f"{unseen}: Sharpe {sharpe:.2f}, deflated {dsr:.1%}: {verdict}")
    for line in (
        f"the settings are in {found['fragment_file']}:",
        f"put them over models.{model} in {settings.file}, then `trading train {model}`",
        f"the report is {found['report_file']}",
    ):
        console.print(line, soft_wrap=True, highlight=False)
