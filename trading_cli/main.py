"""The `trading` command: one Typer app; every command's body stands in a module of its own.

Heavy libraries are imported by the commands that need them, so that ``--help`` answers at once.
"""

from __future__ import annotations

import gc
import sys
import traceback
from importlib.metadata import version as installed
from pathlib import Path
from types import TracebackType
from typing import Annotated, Final

import typer

from trading_assets.core.errors import TradingError
from trading_assets.core.secrets import without_secrets
from trading_assets.settings import SETTINGS_FILE_VARIABLE, carry
from trading_cli import check, demo, metrics, ui
from trading_cli.live import (
    alerts,
    divergence,
    drift,
    explain,
    journal,
    kill,
    node,
    pause,
    performance,
    start,
    statement,
)
from trading_cli.market_data import backfill, gaps, quarantine, record, sql, store
from trading_cli.research import (
    challengers,
    estimators,
    features,
    lifecycle,
    models,
    placebo,
    portfolio,
    report,
    rules,
    screen,
    search,
    versions,
)

_SELDOM: Final = (20_000, 20, 20)
"""New objects, and rounds, after which garbage is looked for: a command loads half a million objects that stay."""

app = typer.Typer(
    help="Candles to features, labels, models, backtests and a paper-trading node: one asset graph.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"trading-assets {installed('trading-assets')}")
        raise typer.Exit


@app.callback()
def common(
    settings: Annotated[
        Path | None, typer.Option(help="Settings file; the default is trading.yaml.", show_default=False)
    ] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Folder for all that is written.", show_default=False)] = None,
    log_level: Annotated[str | None, typer.Option(help="DEBUG, INFO, WARNING or ERROR.", show_default=False)] = None,
    log_format: Annotated[str | None, typer.Option(help="human or json.", show_default=False)] = None,
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_show_version, help="Show the version.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Carry the flags to this process and its children by the environment, where they override the settings file."""
    _ = version, debug  # --debug is read from the arguments in run(), which also sees errors of this very function
    flags = {
        ("--settings", SETTINGS_FILE_VARIABLE): settings and str(settings.expanduser().resolve()),
        ("--data-dir", "TRADING_DATA_DIR"): data_dir and str(data_dir.expanduser().resolve()),
        ("--log-level", "TRADING_LOGS__LEVEL"): log_level and log_level.upper(),
        ("--log-format", "TRADING_LOGS__FORMAT"): log_format,
    }
    for (flag, variable), value in flags.items():
        if value:
            carry(flag, variable, value)


app.command()(demo.demo)
app.command()(backfill.backfill)
app.command()(gaps.gaps)
app.command()(check.check)
app.command()(ui.ui)
app.command()(metrics.metrics)
app.add_typer(models.app, name="models")
app.command()(lifecycle.train)
app.command()(search.search)
app.command()(screen.screen)
app.command()(lifecycle.backtest)
app.command()(lifecycle.approve)
for verb in (versions.promote, versions.rollback, versions.reject):
    app.command(hidden=True)(verb)  # as they were called before they stood below `models`
app.command()(challengers.challengers)
app.command()(portfolio.portfolio)
app.command()(report.report)
app.command()(drift.drift)
app.command()(sql.sql)
app.add_typer(store.app, name="store")
app.add_typer(quarantine.app, name="quarantine")
app.add_typer(journal.app, name="journal")
app.command()(features.prove_features)
app.command()(estimators.prove_estimators)
app.command()(rules.prove_rules)
app.command()(placebo.placebo)
app.command()(start.paper)
app.command()(start.live)
app.command()(node.replay)
app.command()(record.record)
app.command()(node.status)
app.command()(performance.performance)
app.command()(divergence.divergence)
app.command()(explain.explain)
app.command()(statement.statement)
app.command()(pause.pause)
app.command()(pause.resume)
app.command()(kill.kill)
app.add_typer(alerts.app, name="alerts")


def run() -> None:
    """Entry point: a problem that the user can mend is one line on stderr and exit code 2, without a traceback."""
    sys.excepthook = _show_without_secrets
    gc.set_threshold(*_SELDOM)
    try:
        app()
    except Exception as error:
        if "--debug" in sys.argv:
            raise
        problem = error if isinstance(error, TradingError) else _explained(error)
        typer.secho(f"error: {problem}", fg="red", err=True)
        raise SystemExit(2) from None


def _explained(error: Exception) -> TradingError:
    """An error that nobody foresaw: of the machine, with the file it is about, or one of ours."""
    if isinstance(error, OSError) and error.filename:
        return TradingError(
            (error.strerror or type(error).__name__).lower(),
            where=str(error.filename),
            remedy="see that the disk has room and that this user may write there; --data-dir names another folder",
        )
    kind, text = type(error).__name__, " ".join(str(error).split())
    return TradingError(
        f"unexpected {kind}: {text}", remedy="this is a defect; --debug before the command shows its traceback"
    )


def _show_without_secrets(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """What Python prints of an error that nobody caught, as all that is shown."""
    sys.stderr.writelines(without_secrets("".join(traceback.format_exception(kind, error, trace))))
