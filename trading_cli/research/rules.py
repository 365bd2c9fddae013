"""`trading prove-rules`: whether rules see no future and say live what they said in research."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from pydantic import ValidationError

from trading_assets.core.errors import TradingError
from trading_assets.settings import MetaLabelSettings, RuleStrategySettings, load_settings
from trading_assets.settings.sections.rules import RULES
from trading_cli.console import console
from trading_cli.research.proving import add_verdict, chosen, verdicts


def prove_rules(
    module: Annotated[
        str,
        typer.Argument(
            help="A module or a file that registers rules; without it, the project's own and those of the settings.",
            show_default=False,
        ),
    ] = "",
) -> None:
    """Prove that rules see no future and depend on their look-back alone, alike for both sides; exit code 1 if not."""
    from trading_assets.strategies.rules import registered
    from trading_assets.strategies.rules.proofs import PROOFS, prove

    found = chosen(module, registered, lambda one: RULES.owner_of(one.section))
    if not found:
        remedy = "decorate a class with @register; see docs/how-to/add-a-rule.md"
        raise TradingError("it registers no rule", where=module, remedy=remedy)
    cases = {kind: _by_default(rule, kind) for kind, rule in found.items()} | ({} if module else _of_settings())
    table, failed = verdicts("rule"), set()
    for name, rule in cases.items():
        wrong = prove(rule)
        failed |= set(wrong)
        add_verdict(table, name, wrong, PROOFS)
    console.print(table)
    for proof in PROOFS:
        if proof in failed:
            console.print(f"[bold]{proof}[/]: {PROOFS[proof].__doc__}", highlight=False)
    if failed:
        raise typer.Exit(1)


def _by_default(rule: type[Any], kind: str) -> Any:
    try:
        return rule(rule.section())
    except ValidationError as error:
        raise TradingError(
            f"it cannot be made without parameters: {error.errors()[0]['msg']}",
            where=f"rule {kind}",
            remedy="give each of its parameters a default",
        ) from None


def _of_settings() -> dict[str, Any]:
    """The rules of the settings' models and meta-labels, with the parameters that they have there."""
    from trading_assets.strategies.rules import rule_of

    settings = load_settings()
    traded = {name: spec.rule for name, spec in settings.models.items() if isinstance(spec, RuleStrategySettings)}
    followed = {
        f"labels.{name}": one.rule for name, one in settings.labels.items() if isinstance(one, MetaLabelSettings)
    }
    return {f"{name} ({rule.kind})": rule_of(rule) for name, rule in (traded | followed).items()}
