"""Where Dagster keeps what it knows: the environment that ``dagster.yaml`` needs. Imports no Dagster."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from trading_assets.settings import PROJECT_ROOT, Settings

HOME_VARIABLE = "DAGSTER_HOME"
STORAGE_VARIABLE = "DAGSTER_STORAGE_DIR"


def dagster_environment(settings: Settings) -> dict[str, str]:
    """The variables for Dagster's own programs: home is the project's folder, storage lies in the data folder.

    Give them to ``dagster dev``, ``dagster-webserver`` and ``dagster-daemon``. The storage folder is made.
    """
    storage = settings.data_dir / "dagster"
    storage.mkdir(parents=True, exist_ok=True)
    return {
        HOME_VARIABLE: str(PROJECT_ROOT),
        STORAGE_VARIABLE: str(storage),
        "TRADING_DATA_DIR": str(settings.data_dir),
    }


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
