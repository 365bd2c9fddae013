"""Where Dagster keeps what it knows: the environment that ``dagster.yaml`` needs. Imports no Dagster."""

from __future__ import annotations

import os

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


def use_dagster_home(settings: Settings) -> None:
    """Set these variables for this process and those that it starts."""
    os.environ.update(dagster_environment(settings))
