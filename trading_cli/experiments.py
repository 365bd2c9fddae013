"""`trading ui --mlflow`: MLflow's page, served by this very process, so that nothing is left when it ends."""

from __future__ import annotations

import os
import warnings
from typing import Final

import typer

from trading_assets.core.errors import TradingError
from trading_assets.registry.mlflow_client import artifacts_beside, explained, open_client
from trading_assets.settings import Settings
from trading_cli.console import console

_OPEN_ANSWERS_S: Final = 5
"""How long the end waits for answers that a browser still reads."""


def serve(settings: Settings, host: str, port: int) -> None:
    """Serve the experiments of this project until Ctrl-C or SIGTERM.

    `mlflow server` would be two processes and a runner of jobs that nothing here asks for.

    Raises
    ------
    TradingError
        If a tracking server keeps the experiments, which has a page of its own, or their database does not answer.
    """
    database, given = settings.data_dir / "mlflow.db", settings.mlflow.tracking_uri
    if given is not None and given.startswith(("http://", "https://")):
        raise TradingError("a server keeps the experiments", where=given, remedy="open its address in a browser")
    with console.status("loading MLflow"):
        import uvicorn  # before MLflow's server, which guards its routes only where it sees that it is served

        with explained(given or str(database)):
            open_client(given, database).search_experiments(max_results=1)
        warnings.filterwarnings("ignore", module=r"mlflow\.server")
        _configure(given or f"sqlite:///{database}", artifacts_beside(database))
    typer.echo(f"MLflow: http://{host}:{port}/#/experiments (Ctrl-C stops it)")
    uvicorn.run(
        "mlflow.server.fastapi_app:app",
        host=host,
        port=port,
        log_level="warning",
        timeout_graceful_shutdown=_OPEN_ANSWERS_S,
    )


def _configure(database: str, artifacts: str) -> None:
    """Say by the environment, as `mlflow server` does it, what is to be served."""
    os.environ["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"
    from mlflow.server import constants

    os.environ[constants.BACKEND_STORE_URI_ENV_VAR] = database
    os.environ[constants.ARTIFACT_ROOT_ENV_VAR] = artifacts
