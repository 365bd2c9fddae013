"""`trading train`, `backtest` and `approve`: the steps up to a version that may be promoted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from trading_assets.settings import Settings
from trading_assets.settings.names import check_known
from trading_assets.store import configured_store
from trading_cli.console import console, progress
from trading_cli.market_data.backfill import Follower
from trading_cli.research.of_model import Model, begin, note_of, refuse_failed

if TYPE_CHECKING:
    from trading_assets.backtest.gates import GateResult
    from trading_assets.launch import LaunchResult


def train(model: Model) -> None:
    """Walk a model forward and train its candidate, a draft in the registry; backtest and gates come after."""
    settings = begin("train")
    result = _run(settings, model, "train")
    made, walked = result.materialized["candidate"], result.materialized["walk_forward"]
    console.print(
        f"{model} version {made['version']} is a draft{note_of(settings, model)}: "
        f"AUC {walked['oos_auc']:.3f} out of sample; `trading backtest {model}` is next"
    )


def backtest(
    model: Model,
    threshold: Annotated[
        float | None, typer.Option(min=0, max=1, help="Try another least probability; nothing is stored.")
    ] = None,
    min_edge_bps: Annotated[
        float | None, typer.Option(help="Try another least expected net return; nothing is stored.")
    ] = None,
) -> None:
    """Trade a model's stored predictions anew and judge the gates, without training.

    With another threshold it is an experiment: figures only, and one trial more that the deflated Sharpe ratio counts.
    """
    settings = begin("backtest")
    changes = {"threshold": threshold, "min_edge_bps": min_edge_bps}
    tried = {name: value for name, value in changes.items() if value is not None}
    from trading_assets.backtest.gates import evaluate
    from trading_assets.backtest.stored import try_out

    if not tried:
        metrics = _run(settings, model, "evaluate").materialized["backtest"]
        version = f"version {metrics['version']}"
        _show(settings, f"{model} {version}", metrics, evaluate(metrics, settings.gates_of(model)))
        console.print(f"`trading approve {model}` is next; `trading report {model}` shows the page")
        return
    check_known(model, settings.models, "model")
    told = ", ".join(f"{name} {value:g}" for name, value in tried.items())
    _show(settings, f"{model} with {told}", *try_out(settings, configured_store(settings), model, tried))
    console.print("an experiment: nothing is stored but one more trial; set it in the settings and retrain to keep it")


def approve(model: Model) -> None:
    """Approve a model's newest candidate, if its backtest passes every gate and it decides as the node will."""
    settings = begin("approve")
    result = _run(settings, model, "approve")
    _say(settings, model, int(result.materialized["approved"]["version"]))


def _show(settings: Settings, title: str, metrics: Mapping[str, float], gates: Sequence[GateResult]) -> None:
    table = Table("gate", "value", "asked", "", title=title + note_of(settings, title.split()[0]), title_justify="left")
    for gate in gates:
        verdict = "[green]passed[/]" if gate.passed else "[red]FAILED[/]"
        table.add_row(gate.name, f"{gate.value:.4g}", f"{gate.threshold:.4g}", verdict)
    console.print(table)
    console.print(f"{metrics['trades']:.0f} trades, return {metrics['total_return']:.1%}")


def _run(settings: Settings, model: str, job: str) -> LaunchResult:
    with console.status("loading the asset graph"):
        from trading_assets.launch import materialize_model
    with progress() as bar:
        follow = Follower(bar, {model: f"model {model}{note_of(settings, model)}"})
        result = materialize_model(settings, model, follow, job=job)
        follow.end(result, job)
    return refuse_failed(result)


def _say(settings: Settings, model: str, version: int) -> None:
    from trading_assets.registry import Registry

    console.print(
        f"{model} version {version} is {Registry(settings).get(model, version).status}{note_of(settings, model)}"
    )
