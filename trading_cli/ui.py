"""`trading ui`: the Dagster UI and daemon on the same data, or MLflow's page of the experiments."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Mapping
from typing import Annotated, Final

import typer

from trading_assets.core.errors import TradingError
from trading_assets.settings import PROJECT_ROOT, Settings, load_settings
from trading_assets.settings.dagster_home import POSTGRES_VARIABLE, dagster_environment, opening

GRAPH_GROUPS: Final = (
    *("market_data", "bars", "quality", "features", "labels", "models"),
    *("evaluation", "deployment", "live", "monitoring", "recordings"),
)
"""Groups of the assets; written down here because loading the assets takes seconds."""


def ui(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int | None,
        typer.Option(min=1, max=65535, help="Port to listen on: 3000, or 5000 of MLflow.", show_default=False),
    ] = None,
    mlflow: Annotated[bool, typer.Option("--mlflow", help="MLflow's page of all trials and versions instead.")] = False,
) -> None:
    """Open the Dagster UI (webserver and daemon: schedules, sensors, backfills), or MLflow's page."""
    settings = load_settings()
    port = port or (5000 if mlflow else 3000)
    _check_free(host, port)
    if mlflow:
        from trading_cli.experiments import serve

        serve(settings, host, port)
        return
    environment = {**os.environ, **dagster_environment(settings)}
    _make_tables(settings, environment)
    typer.echo(f"Dagster UI: http://{host}:{port} (Ctrl-C stops it)")
    typer.echo(f"The asset graph with every group open: http://{host}:{port}{graph_address()}")
    os.chdir(PROJECT_ROOT)
    command = [sys.executable, "-m", "dagster", "dev", "-w", "workspace.yaml", "-h", host, "-p", str(port)]
    os.execve(sys.executable, command, environment)


def _check_free(host: str, port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise TradingError(
                f"cannot listen on {host}:{port}: {error.strerror}", remedy="choose another with --port"
            ) from None


def graph_address() -> str:
    """The page of the asset graph with every group open; it begins with all of them closed."""
    return f"/asset-groups?expanded={','.join(f'global@global:{group}' for group in GRAPH_GROUPS)}"


def _make_tables(settings: Settings, environment: Mapping[str, str]) -> None:
    """Webserver and daemon start at once; in a new home both would make Dagster's tables, and one would fail."""
    if POSTGRES_VARIABLE in environment or not (settings.data_dir / "dagster" / "history").exists():
        from dagster import DagsterInstance

        with opening(settings, environment), DagsterInstance.get() as instance:
            instance.get_runs(limit=1)
