"""`trading ui`: the Dagster UI and daemon on the same data."""

from __future__ import annotations

import os
import socket
import sys
from typing import Annotated

import typer

from trading_assets.errors import TradingError
from trading_assets.home import dagster_environment
from trading_assets.settings import PROJECT_ROOT, load_settings


def ui(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 3000,
) -> None:
    """Open the Dagster UI (webserver and daemon: schedules, sensors, backfills)."""
    environment = {**os.environ, **dagster_environment(load_settings())}
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise TradingError(
                f"cannot listen on {host}:{port}: {error.strerror}", remedy="choose another with --port"
            ) from None
    typer.echo(f"Dagster UI: http://{host}:{port} (Ctrl-C stops it)")
    os.chdir(PROJECT_ROOT)
    command = [sys.executable, "-m", "dagster", "dev", "-w", "workspace.yaml", "-h", host, "-p", str(port)]
    os.execve(sys.executable, command, environment)
