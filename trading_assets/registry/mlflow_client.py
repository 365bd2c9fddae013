"""Opening MLflow: quietly, without telemetry, and with a database that is made in one piece and stays at home."""

from __future__ import annotations

import logging
import os
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from trading_assets.core.atomic_files import write_file
from trading_assets.core.errors import ModelError
from trading_assets.core.locks import locked

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
        bring_home(database)
    client: MlflowClient = client_type(tracking_uri, tracking_uri)
    return client


def artifacts_beside(database: Path) -> str:
    """Where the files of runs are that a database in a data folder knows: beside it, as MLflow writes addresses."""
    return (database.parent / "mlartifacts").resolve().as_uri()


def bring_home(database: Path) -> None:
    """Let a database of a folder that was moved or copied name the files beside it, not those where it was.

    MLflow stores whole addresses: a copy would go on to write into the folder that it was copied from.
    """
    home = artifacts_beside(database)
    with closing(sqlite3.connect(database, timeout=60)) as connection:
        try:
            known = [row[0] for row in connection.execute("SELECT DISTINCT artifact_location FROM experiments")]
            strangers = [one for one in known if one and one != home and one.endswith(f"/{home.rsplit('/', 1)[1]}")]
            if not strangers:
                return
            with locked(database.with_suffix(".lock")), connection:
                for stranger in strangers:
                    for table, column in _ADDRESSES:
                        connection.execute(  # nothing of a user's is in the text
                            f"UPDATE {table} SET {column} = ? || substr({column}, ?) "
                            f"WHERE {column} = ? OR substr({column}, 1, ?) = ?",
                            (home, len(stranger) + 1, stranger, len(stranger) + 1, f"{stranger}/"),
                        )
        except sqlite3.Error:
            return  # the client says what is wrong with it
    logging.getLogger(__name__).info("%s came from elsewhere; runs now keep their files in %s", database, home)


_ADDRESSES: Final = (
    ("runs", "artifact_uri"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
    ("experiments", "artifact_location"),
)
"""Where MLflow's tables name files."""


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
        raise ModelError(f"the registry does not answer: {reason}", where=where, remedy=_remedy(error)) from error


def _remedy(error: Exception) -> str:
    """What helps: a database that cannot be read is another matter than one that says no."""
    from sqlalchemy.exc import SQLAlchemyError

    damaged = isinstance(error, SQLAlchemyError) or "DatabaseError" in str(error)
    return "check mlflow.tracking_uri in the settings" + (
        "; a damaged local database can be moved away, and candidate materialized again" if damaged else ""
    )


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
            client = _mlflow().MlflowClient(f"sqlite:///{file}")
            client.delete_experiment("0")  # "Default", which nobody fills: MLflow's page opens on the models
        finally:
            event.remove(Engine, "connect", do_not_wait)
        connection = sqlite3.connect(file)
        try:
            return connection.serialize()
        finally:
            connection.close()
