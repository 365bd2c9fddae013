"""Opening MLflow: quietly, without telemetry, and with a database that is made in one piece."""

from __future__ import annotations

import logging
import os
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from trading_assets.errors import ModelError
from trading_assets.locks import locked
from trading_assets.models.durable import write_file

if TYPE_CHECKING:
    from mlflow import MlflowClient

ENVIRONMENT: Final = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    "GIT_PYTHON_REFRESH": "quiet",
}
"""Set before MLflow is imported, unless the user has set them."""


def open_client(tracking_uri: str | None, database: Path) -> MlflowClient:
    """A client of the tracking server, or of the SQLite database where no server is given.

    Parameters
    ----------
    tracking_uri
        Any address that MLflow understands.
    database
        The SQLite file; made where it is missing.
    """
    client_type = _mlflow().MlflowClient
    if tracking_uri is None:
        tracking_uri = f"sqlite:///{database}"
        if not database.exists():
            with locked(database.with_suffix(".lock")):
                if not database.exists():
                    write_file(database, _empty_database())
    client: MlflowClient = client_type(tracking_uri, tracking_uri)
    return client


def is_database(tracking_uri: str) -> bool:
    """Whether an address is that of a database rather than a server, e.g. ``sqlite:///`` or ``postgresql+psycopg://``."""
    from mlflow.store.db.db_types import DATABASE_ENGINES

    return tracking_uri.split(":", 1)[0].split("+", 1)[0] in DATABASE_ENGINES


@contextmanager
def explained(where: str) -> Iterator[None]:
    """Turn MLflow's and its database's errors into one line that names the place."""
    mlflow = _mlflow()
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (mlflow.MlflowException, SQLAlchemyError) as error:
        reason = " ".join(str(error).split())[:300]
        raise ModelError(
            f"the registry does not answer: {reason}",
            where=where,
            remedy="check mlflow.tracking_uri in the settings; a damaged local database can be moved away, "
            "and candidate materialized again",
        ) from error


def _mlflow() -> Any:
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    import mlflow

    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    return mlflow


@cache
def _empty_database() -> bytes:
    """MLflow's tables without rows.

    MLflow makes them by some sixty migrations, each of which waits for the disk, and a process killed among them leaves
    a database that no version can open. So they are made aside, without waiting, and the finished file is moved.
    """
    from sqlalchemy import Engine, event

    def do_not_wait(connection: Any, _record: Any) -> None:
        connection.execute("PRAGMA synchronous = OFF")

    with tempfile.TemporaryDirectory(prefix="trading-mlflow-") as folder:
        file = Path(folder) / "mlflow.db"
        event.listen(Engine, "connect", do_not_wait)
        try:
            _mlflow().MlflowClient(f"sqlite:///{file}").get_experiment("0")
        finally:
            event.remove(Engine, "connect", do_not_wait)
        connection = sqlite3.connect(file)
        try:
            return connection.serialize()
        finally:
            connection.close()
