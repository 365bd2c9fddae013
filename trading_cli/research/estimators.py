"""`trading prove-estimators`: whether estimators keep what every one of them promises."""

from __future__ import annotations

from typing import Annotated

import typer

from trading_assets.core.errors import TradingError
from trading_assets.settings.sections.estimators import ESTIMATORS
from trading_cli.console import console, progress
from trading_cli.research.proving import add_verdict, chosen, verdicts


def prove_estimators(
    module: Annotated[
        str,
        typer.Argument(
            help="A module or a file that registers estimators; without it, the project's and those of its `plugins`.",
            show_default=False,
        ),
    ] = "",
) -> None:
    """Prove that estimators refit, save and predict as they promise; exit code 1 if not."""
    from trading_assets.models.estimators import registered
    from trading_assets.models.estimators.proofs import PROOFS, prove

    found = chosen(module, registered, lambda one: ESTIMATORS.owner_of(one.parameters))
    if not found:
        raise TradingError(
            "it registers no estimator", where=module, remedy="decorate a class with @register; see docs/how-to"
        )
    table, failed = verdicts("estimator"), False
    with progress() as shown:
        task = shown.add_task("estimators", total=len(found), note="")
        for kind, estimator in found.items():
            shown.update(task, note=kind)
            if lacking := estimator.parameters.lacks():
                table.add_row(kind, "[yellow]left out[/]", "", f"it {lacking}")
                shown.update(task, advance=1)
                continue
            wrong = prove(estimator)
            failed |= bool(wrong)
            add_verdict(table, kind, wrong, PROOFS)
            shown.update(task, advance=1)
    console.print(table)
    if failed:
        raise typer.Exit(1)
