"""What the commands that prove estimators and rules share: what is chosen, and how it is told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rich.markup import escape
from rich.table import Table

from trading_assets.core.plugins.seats import using
from trading_assets.settings import load_settings
from trading_cli.research.loading import load_own


def chosen[T](module: str, registered: Callable[[], Mapping[str, T]], owner_of: Callable[[T], str]) -> dict[str, T]:
    """By kind, what a file or module of a user registers; without one, the project's own and that of its plug-ins."""
    owner = load_own(module).owner if module else ""
    with using((owner,) if module else load_settings().plugged):
        return {kind: one for kind, one in registered().items() if owner in ("", owner_of(one))}


def verdicts(what: str) -> Table:
    """A table for :func:`add_verdict`."""
    return Table(what, "verdict", "fails", "what is wrong")


def add_verdict(table: Table, name: str, wrong: Mapping[str, str], proofs: Mapping[str, Any]) -> None:
    """A row for what is proven, else one for each proof that fails."""
    if not wrong:
        table.add_row(name, "[green]proven[/]", "", f"all of {len(proofs)} proofs")
    for number, (proof, said) in enumerate(wrong.items()):
        table.add_row(*(("", "") if number else (name, "[red]refuted[/]")), proof, escape(said))
