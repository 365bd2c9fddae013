"""Where Dagster keeps what it knows: the environment that ``dagster.yaml`` needs. Imports no Dagster."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from trading_assets.core.locks import locked
from trading_assets.settings import PROJECT_ROOT, Settings

HOME_VARIABLE = "DAGSTER_HOME"
STORAGE_VARIABLE = "DAGSTER_STORAGE_DIR"
POSTGRES_VARIABLE = "DAGSTER_POSTGRES_URL"


def dagster_environment(settings: Settings) -> dict[str, str]:
    """The variables for Dagster's own programs: home is the project's folder, storage lies in the data folder.

    Where ``DAGSTER_POSTGRES_URL`` is set, home is ``deploy/postgres`` instead: runs and events are in that database,
    and only what runs print lies in the data folder.

    Give them to ``dagster dev``, ``dagster-webserver`` and ``dagster-daemon``. The storage folder is made.
    """
    storage = settings.data_dir / "dagster"
    storage.mkdir(parents=True, exist_ok=True)
    environment = {
        HOME_VARIABLE: str(PROJECT_ROOT),
        STORAGE_VARIABLE: str(storage),
        "TRADING_DATA_DIR": str(settings.data_dir),
    }
    if url := os.environ.get(POSTGRES_VARIABLE):
        # dagster-postgres brings psycopg2; without the driver's name SQLAlchemy takes another
        scheme, separator, rest = url.partition("://")
        driver = "postgresql+psycopg2" if scheme in {"postgresql", "postgres"} else scheme
        environment |= {
            HOME_VARIABLE: str(PROJECT_ROOT / "deploy" / "postgres"),
            POSTGRES_VARIABLE: f"{driver}{separator}{rest}",
        }
    return environment


@contextmanager
def opening(settings: Settings, environment: Mapping[str, str]) -> Iterator[None]:
    """Within the block, open the instance: of processes that start at once in a new home, one makes the tables."""
    with within(environment), locked(settings.data_dir / "dagster" / "start.lock"):
        yield


@contextmanager
def within(environment: Mapping[str, str]) -> Iterator[None]:
    """Set variables for the duration of a block."""
    before = {name: os.environ.get(name) for name in environment}
    os.environ.update(environment)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
