"""What the commands about one model share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from trading_assets.core.errors import ModelError
from trading_assets.settings import Settings, load_settings, logs
from trading_cli.console import synthetic_note

if TYPE_CHECKING:
    from trading_assets.launch import LaunchResult

Model = Annotated[str, typer.Argument(help="A model of the settings.")]


def begin(command: str) -> Settings:
    """The settings, with logs in the command's own file."""
    settings = load_settings()
    logs.configure(settings, command)
    return settings


def refuse_failed(result: LaunchResult) -> LaunchResult:
    """The result of a run, if nothing in it failed.

    Raises
    ------
    ModelError
        Says what failed.
    """
    if result.failures:
        raise ModelError("; ".join(result.failures.values()))
    return result


def note_of(settings: Settings, model: str) -> str:
    """Marks a model whose candles are made up; nothing for one that the settings do not know."""
    return synthetic_note(settings.models[model].markets) if model in settings.models else ""
