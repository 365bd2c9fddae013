"""Runs of the Dagster jobs inside this process, recorded in the instance that the UI shows; for the command line."""

from __future__ import annotations

from typing import Any

import dagster as dg

from trading_assets.definitions import build_definitions
from trading_assets.defs.lib.progress import Event, Listener
from trading_assets.defs.research.search import ANEW_TAG
from trading_assets.launch.instance import open_instance
from trading_assets.launch.markets import materialize_markets, repair_gaps
from trading_assets.launch.runs import CheckOutcome, LaunchResult, run
from trading_assets.settings import Settings
from trading_assets.settings.names import check_known

__all__ = [
    "CheckOutcome",
    "Event",
    "LaunchResult",
    "Listener",
    "load_journal",
    "materialize_markets",
    "materialize_model",
    "open_instance",
    "promote",
    "rebalance",
    "repair_gaps",
    "roll_back",
    "screen_model",
    "search_model",
    "tick_promotion_sensor",
]


def materialize_model(
    settings: Settings, model: str, on_event: Listener | None = None, *, job: str = "retrain"
) -> LaunchResult:
    """Walk-forward, candidate, backtest, gates and, where all pass, approval of one model.

    Parameters
    ----------
    job
        ``retrain`` for all of it, or a part: ``train``, ``evaluate`` or ``approve``.

    Raises
    ------
    SettingsError
        If the settings have no such model.
    """
    check_known(model, settings.models, "model")
    return run(settings, job, model, partition=model, on_event=on_event)


def search_model(
    settings: Settings, model: str, on_event: Listener | None = None, *, anew: bool = False
) -> LaunchResult:
    """Search a model's parameters, by the budget and space of the settings.

    Parameters
    ----------
    anew
        Begin a search instead of going on with an earlier one of the same settings and data.

    Raises
    ------
    SettingsError
        If the settings have no such model.
    """
    check_known(model, settings.models, "model")
    tags = {ANEW_TAG: "anew"} if anew else {}
    return run(settings, "search", model, partition=model, tags=tags, on_event=on_event)


def screen_model(
    settings: Settings, model: str, on_event: Listener | None = None, *, sets: int, grid: bool, top: int
) -> LaunchResult:
    """Screen parameter sets of a model's rule, by the space of the settings.

    Parameters
    ----------
    sets, grid, top
        How many are tried, whether they are a grid, and how many of the best are told.

    Raises
    ------
    SettingsError
        If the settings have no such model.
    """
    check_known(model, settings.models, "model")
    told = {"ops": {"screening": {"config": {"sets": sets, "grid": grid, "top": top}}}}
    return run(settings, "screen", model, partition=model, on_event=on_event, config=told)


def promote(
    settings: Settings,
    model: str,
    on_event: Listener | None = None,
    *,
    version: int | None = None,
    reason: str = "",
) -> LaunchResult:
    """Make a model's approved version the active one, if it is better than the champion or ``reason`` says why.

    Raises
    ------
    SettingsError
        If the settings have no such model.
    """
    check_known(model, settings.models, "model")
    return run(
        settings, "promote", model, partition=model, on_event=on_event, config=_deployment(version, reason, back=False)
    )


def rebalance(settings: Settings, on_event: Listener | None = None) -> LaunchResult:
    """Decide the weights of the portfolio's sleeves; they come into force where they pass their gates.

    Raises
    ------
    SettingsError
        If the settings ask for no portfolio.
    """
    from trading_assets.portfolio.stored import section_of

    section_of(settings)
    return run(settings, "rebalance", "portfolio", on_event=on_event)


def roll_back(settings: Settings, model: str, *, version: int | None = None, reason: str = "") -> LaunchResult:
    """Go back to the version that was active before, or to another one that was.

    Raises
    ------
    SettingsError
        If the settings have no such model.
    """
    check_known(model, settings.models, "model")
    return run(settings, "rollback", model, partition=model, config=_deployment(version, reason, back=True))


def _deployment(version: int | None, reason: str, *, back: bool) -> dict[str, Any]:
    told = {"reason": reason, "rollback": back, **({} if version is None else {"version": version})}
    return {"ops": {"deployment": {"config": told}}}


def tick_promotion_sensor(settings: Settings, on_event: Listener | None = None) -> list[LaunchResult]:
    """Evaluate the promotion sensor once, as the daemon does, and run what it asks for."""
    from trading_assets.defs.orchestration.sensors import promotion

    definitions = build_definitions(settings)
    context = dg.build_sensor_context(
        instance=open_instance(settings), definitions=definitions, resources={"settings": settings}
    )
    requests = promotion.evaluate_tick(context).run_requests or []
    return [promote(settings, str(request.partition_key), on_event) for request in requests]


def load_journal(settings: Settings, on_event: Listener | None = None) -> LaunchResult:
    """Load the node's journal into the tables and sum it up."""
    return run(settings, "load_journal", "journal", on_event=on_event)
