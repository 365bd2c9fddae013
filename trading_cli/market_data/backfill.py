"""`trading backfill`: candles through labels, and on request the models, as runs that the UI shows."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.console import Group
from rich.markup import escape
from rich.progress import Progress, TaskID
from rich.table import Table

from trading_assets.core.errors import SettingsError, TradingError
from trading_assets.settings import Settings, load_settings, logs
from trading_cli.console import console, progress, synthetic_note

if TYPE_CHECKING:
    from trading_assets.launch import Event, LaunchResult

DAYS: Final = "YYYY-MM[-DD]"


def backfill(
    market: Annotated[
        list[str] | None, typer.Option(help="A market of the settings; repeatable. Default: all.")
    ] = None,
    start: Annotated[str | None, typer.Option("--from", metavar=DAYS, help="First month or day.")] = None,
    end: Annotated[str | None, typer.Option("--to", metavar=DAYS, help="Last month or day, inclusive.")] = None,
    again: Annotated[bool, typer.Option("--again", help="Fetch also what is stored: revisions are recorded.")] = False,
    models: Annotated[bool, typer.Option("--models", help="Then train, backtest and judge every model.")] = False,
) -> None:
    """Fetch candles and build bars, features and labels: one run per market, whatever the range.

    What is stored is not fetched again: a backfill that was stopped, or killed, goes on where it was.
    """
    settings = load_settings()
    logs.configure(settings, "backfill")
    if models:
        require_models(settings)
    refuse_failures(backfill_markets(settings, market, start, end, again=again), "backfill")
    if models:
        judged = judge_models(settings)
        console.print(verdicts(settings, judged))
        if broken := [result.subject for result in judged if result.failures and not result.failed_checks]:
            raise TradingError(f"no verdict on {', '.join(broken)}", remedy="the reasons stand above and in the UI")


def require_models(settings: Settings) -> None:
    """Raise ``SettingsError`` where the settings name no model."""
    if not settings.models:
        raise SettingsError("no model in the settings", where="models", remedy="add one; trading.yaml shows how")


def backfill_markets(
    settings: Settings,
    markets: list[str] | None = None,
    start: str | None = None,
    end: str | None = None,
    *,
    again: bool = False,
) -> list[LaunchResult]:
    """Run candles through labels with a progress bar per market."""
    with console.status("loading the asset graph"):
        from trading_assets.launch import materialize_markets

    def launch(follow: Follower) -> Iterator[LaunchResult]:
        return materialize_markets(settings, markets, start, end, follow, again=again)

    return follow_runs(settings, launch)


def follow_runs(settings: Settings, launch: Callable[[Follower], Iterator[LaunchResult]]) -> list[LaunchResult]:
    """Show a progress bar per market while runs go on; print what failed.

    Ctrl-C ends the program with exit code 130, and says that it may be run again.
    """
    results = []
    with stoppable(), progress() as bar:
        follow = Follower(bar, {name: name + synthetic_note([name]) for name in settings.markets})
        for result in launch(follow):
            fetched = result.materialized.get("candles", {}).get("fetched", 0)
            follow.end(
                result,
                f"{fetched:,} candles fetched, {len(result.materialized)} assets, {len(result.checks)} checks",
            )
            results.append(result)
    for result in results:
        _print_failures(result)
    return results


@contextmanager
def stoppable() -> Iterator[None]:
    """Turn Ctrl-C into one line and the exit code of an interrupted program."""
    try:
        yield
    except KeyboardInterrupt:
        console.print("[yellow]stopped[/]; run it again: what was fetched is stored, only the rest is asked for")
        raise typer.Exit(130) from None


def refuse_failures(results: list[LaunchResult], what: str) -> None:
    """Raise ``TradingError`` where a run failed, or a check has stopped months of it."""
    done = {result.subject for result in results if result.success}
    if told := [_failure(result, what, others=result.subject in done) for result in results if not result.success]:
        raise TradingError("; ".join(told), remedy="the reasons stand above and in the UI")


def _failure(result: LaunchResult, what: str, *, others: bool) -> str:
    if result.blocked and not result.failures:
        told = stopped_months(result)
    else:
        told = f"the {what} of {result.subject} failed"
    return f"{told}; its other months are done" if others else told


def stopped_months(result: LaunchResult) -> str:
    """Which months checks have stopped, e.g. ``binance:BTC/USDT 2025-01 stopped at gap_share``."""
    months = ", ".join(key.rsplit("|", 1)[1] for key in result.blocked)
    checks = ", ".join(sorted({check.name for check in result.failed_checks if check.error and check.bad_partitions}))
    return f"{result.subject} {months} stopped at {checks}"


def judge_models(settings: Settings) -> list[LaunchResult]:
    """Run walk-forward, candidate, backtest and gates of every model with a progress bar each."""
    from trading_assets.launch import materialize_model

    results = []
    with stoppable(), progress() as bar:
        labels = {name: f"model {name}{synthetic_note(spec.markets)}" for name, spec in settings.models.items()}
        follow = Follower(bar, labels)
        for name in settings.models:
            result = materialize_model(settings, name, follow)
            follow.end(result, "approved" if "approved" in result.materialized else "refused")
            results.append(result)
    return results


def verdicts(settings: Settings, judged: list[LaunchResult]) -> Group:
    """The models' out-of-sample metrics, and below them the gates that refused a model or what broke its run."""
    table = Table("model", "verdict", "Sharpe", "win rate", "profit factor", "drawdown", "trades")
    reasons: list[str] = []
    for result in judged:
        metrics = result.materialized.get("backtest", {})
        name = result.subject + synthetic_note(settings.models[result.subject].markets)
        verdict = "[green]approved[/]" if "approved" in result.materialized else "[red]refused[/]"
        table.add_row(
            name,
            verdict if metrics else "[red]failed[/]",
            *(f"{metrics[key]:.2f}" if key in metrics else "" for key in ("sharpe", "win_rate", "profit_factor")),
            f"{metrics['max_drawdown']:.1%}" if "max_drawdown" in metrics else "",
            f"{metrics['trades']:.0f}" if "trades" in metrics else "",
        )
        reasons += [f"[yellow]{result.subject}[/] {escape(remark)}" for remark in metrics.get("remarks", ())]
        reasons += [f"[red]{check.asset}.{check.name}[/] {check.description}" for check in result.failed_checks]
        if not result.failed_checks:
            reasons += [f"[red]{result.subject}: {step}[/] {reason}" for step, reason in result.failures.items()]
    return Group(table, *reasons)


class Follower:
    """Turns the events of runs into progress bars, one per subject; runs may be in several threads."""

    def __init__(self, bar: Progress, labels: dict[str, str]) -> None:
        self._bar = bar
        self._labels = labels
        self._tasks: dict[str, TaskID] = {}
        self._adding = threading.Lock()

    def __call__(self, event: Event) -> None:
        """Show how far the event's run is."""
        task, fetched = self._task(event.subject), event.fetched
        done = event.steps_done if fetched is None else event.steps_done + fetched.share
        note = event.step if fetched is None else f"{event.step} {fetched}"
        self._bar.update(task, total=event.steps_total or None, completed=done, note=note)

    def end(self, result: LaunchResult, note: str) -> None:
        """Say how the run ended."""
        task = self._task(result.subject)
        self._bar.update(task, note=note if result.success or result.failed_checks else "[red]failed[/]")
        self._bar.stop_task(task)

    def _task(self, subject: str) -> TaskID:
        with self._adding:
            if subject not in self._tasks:
                self._tasks[subject] = self._bar.add_task(self._labels.get(subject, subject), total=None, note="")
            return self._tasks[subject]


def _print_failures(result: LaunchResult) -> None:
    for check in result.failed_checks:
        console.print(f"[red]{result.subject}: check {check.asset}.{check.name}[/]: {check.description}")
    for step, reason in result.failures.items():
        console.print(f"[red]{result.subject}: {step}[/]: {reason}")
