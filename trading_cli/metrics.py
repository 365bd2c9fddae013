"""`trading metrics`: Dagster's runs, assets and checks, the store, models and the node's folder, for Prometheus."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trading_assets.core.errors import TradingError
from trading_assets.settings import Settings, load_settings, logs
from trading_assets.settings.sections.kinds import only_asked
from trading_cli.console import console

if TYPE_CHECKING:
    from trading_live.metrics.exporter import Exporter

_LOCK_S = 10.0
"""A page waits so long for a store that a run writes to; then the former numbers are missing for once."""


def metrics(
    file: Annotated[
        Path | None, typer.Option(help="Write the page to this file (node_exporter's textfile collector).")
    ] = None,
    serve: Annotated[bool, typer.Option("--serve", help="Stay, and serve it on --host and --port.")] = False,
    host: Annotated[str, typer.Option(help="Address to serve on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to serve on.")] = 9802,
    every: Annotated[float, typer.Option(min=1, help="Seconds between two pages that are served.")] = 60.0,
) -> None:
    """Print, write or serve metrics of runs, assets, checks, the store, models, and the node seen from outside.

    The node serves its own (node.metrics_port). What cannot be read is left out and named by trading_export_failed.
    """
    with only_asked():
        settings = load_settings()
    logs.configure(settings, "metrics")
    exporter = exporter_of(settings)
    if serve:
        _serve(exporter, host, port, every)
        return
    exporter.read()
    if file is None:
        typer.echo(exporter.text(), nl=False)
        return
    try:
        exporter.write(file)
    except OSError as error:
        raise TradingError(
            f"the page cannot be written: {error.strerror or error}",
            where=str(file),
            remedy="name a file in a folder that this user may write",
        ) from None


def exporter_of(settings: Settings) -> Exporter:
    """What of a project is exported."""
    from trading_assets.definitions import build_definitions
    from trading_assets.defs.monitoring.instance_metrics import read_project
    from trading_assets.monitoring.exported.stored import read_models, read_store
    from trading_assets.store import configured_store
    from trading_live.metrics.exporter import Exporter
    from trading_live.metrics.outside import read_folder

    patient = settings.store.model_copy(update={"lock_timeout_s": min(settings.store.lock_timeout_s, _LOCK_S)})
    store = configured_store(settings.model_copy(update={"store": patient}))
    return Exporter(
        {
            "node": lambda page, _: read_folder(page, settings),
            "store": lambda page, _: read_store(page, store, settings),
            "models": lambda page, now: read_models(page, store, settings, now),
            "dagster": partial(read_project, settings=settings, definitions=build_definitions),
        }
    )


def _serve(exporter: Exporter, host: str, port: int, every: float) -> None:
    from trading_live.operations.interrupts import ends_quietly

    told: list[str] = []
    with ends_quietly(), exporter.serving(host, port, lambda _, detail: told.append(detail)) as served:
        if served is None:
            raise TradingError(f"cannot listen on {host}:{port}", remedy="choose another with --port")
        console.print(f"metrics on {told[0]}, new every {every:g} s; Ctrl-C stops it")
        while True:
            exporter.read()
            time.sleep(every)
