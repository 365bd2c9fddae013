"""`trading prove-estimators`: whether estimators keep what every one of them promises."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from trading_assets.core.errors import TradingError
from trading_assets.core.plugins.seats import using
from trading_assets.settings import load_settings
from trading_assets.settings.sections.estimators import ESTIMATORS
from trading_cli.console import console, progress
from trading_cli.research.loading import load_own


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

    owner = load_own(module).owner if module else ""
    with using((owner,) if module else load_settings().plugged):
        chosen = {kind: one for kind, one in registered().items() if owner in ("", ESTIMATORS.owner_of(one.parameters))}
    if not chosen:
        raise TradingError(
            "it registers no estimator", where=module, remedy="decorate a class with @register; see docs/how-to"
        )
    table, failed = Table("estimator", "verdict", "fails", "what is wrong"), False
    with progress() as shown:
        task = shown.add_task("estimators", total=len(chosen), note="")
        for kind, estimator in chosen.items():
            shown.update(task, note=kind)
            wrong = prove(estimator)
            failed |= bool(wrong)
            if not wrong:
                table.add_row(kind, "[green]proven[/]", "", f"all of {len(PROOFS)} proofs")
            for number, (proof, said) in enumerate(wrong.items()):
                table.add_row(*(("", "") if number else (kind, "[red]refuted[/]")), proof, escape(said))
            shown.update(task, advance=1)
    console.print(table)
    if failed:
        raise typer.Exit(1)
