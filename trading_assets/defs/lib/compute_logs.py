"""What runs print, and beside it the backtest reports: both are files that Dagster's webserver hands out by HTTP."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from dagster import Field, StringSource
from dagster._core.storage.local_compute_log_manager import LocalComputeLogManager
from dagster._serdes import ConfigurableClassData

_REPORTS: Final = "reports"


class LogsAndReports(LocalComputeLogManager):
    """Dagster's files of what runs print; under ``/logs/reports/<model>/<version>/html`` the webserver finds reports.

    A browser does not follow a link from a page of a server to a file. Any webserver of Dagster's that reads this
    project's ``dagster.yaml`` serves them: ``trading ui``, ``dagster dev`` and ``dagster-webserver`` alike.

    Parameters
    ----------
    base_dir, polling_timeout, inst_data
        As Dagster has them.
    reports_dir
        The folder of the reports; default: ``reports`` beside ``base_dir``, where the settings put them.
    """

    def __init__(
        self,
        base_dir: str,
        polling_timeout: float | None = None,
        inst_data: ConfigurableClassData | None = None,
        reports_dir: str | None = None,
    ) -> None:
        super().__init__(base_dir, polling_timeout, inst_data)
        self._reports = Path(reports_dir or Path(base_dir).absolute().with_name(_REPORTS)).resolve()

    @classmethod
    def config_type(cls) -> Any:
        """Dagster's, and ``reports_dir``."""
        usual: Any = super().config_type()
        return {**usual, "reports_dir": Field(StringSource, is_required=False)}

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> LogsAndReports:
        """Make one from ``dagster.yaml``."""
        return cls(inst_data=inst_data, **config_value)

    def get_captured_local_path(self, log_key: Sequence[str], extension: str, partial: bool = False) -> str:
        """The file behind an address below ``/logs``; nothing outside of the two folders."""
        if (log_key[0], extension) != (_REPORTS, "html"):
            return str(super().get_captured_local_path(log_key, extension, partial))
        file = self._reports.joinpath(*log_key[1:]).with_name(f"{log_key[-1]}.{extension}").resolve()
        if self._reports not in file.parents:
            raise ValueError("Invalid path")
        return str(file)
