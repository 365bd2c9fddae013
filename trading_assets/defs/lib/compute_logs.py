"""What runs print, and beside it the backtest reports: Dagster's webserver hands out both by HTTP."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from dagster import Field, StringSource

from trading_assets.backtest.report.files import pages, runs_scripts
from trading_assets.defs.lib.dagster_internals import ConfigurableClassData, LocalComputeLogManager

_REPORTS: Final = "reports"
_AS_A_PAGE: Final = {
    "content-type": "text/html; charset=utf-8",
    "content-security-policy": "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:",
    "x-content-type-options": "nosniff",
}
"""A report is shown, not saved; it may run nothing and ask for nothing, since the UI has the same origin."""

_AS_A_CHART: Final = {
    **_AS_A_PAGE,
    "content-security-policy": "sandbox allow-scripts allow-downloads; default-src 'none'; script-src 'unsafe-inline'; "
    "style-src 'unsafe-inline'; img-src data: blob:",
}
"""An interactive page runs what is on it, in an origin of its own: it reaches neither the UI nor any other address."""


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
        """The file behind an address below ``/logs``; a report is answered here, as a page.

        The webserver sends every file that it gets from here as a download. A report is a page to look at, so it does
        not go that way: Starlette answers with what an ``HTTPException`` says.

        Raises
        ------
        HTTPException
            With the page of a report, or with 404 where no report is at the address.
        """
        if not log_key or (log_key[0], extension) != (_REPORTS, "html"):
            return str(super().get_captured_local_path(log_key, extension, partial))
        from starlette.exceptions import HTTPException

        match log_key[1:]:
            case [model, version] if (page := self._page(model, version)) is not None:
                raise HTTPException(200, page, _AS_A_CHART if runs_scripts(version) else _AS_A_PAGE)
        raise HTTPException(404, f"no report at {'/'.join(log_key[1:])}")

    def _page(self, model: str, version: str) -> str | None:
        """The page of a version, or of a search, if it lies where reports do."""
        page = pages(self._reports).get((model, version))
        if page is None:
            return None
        file = page.resolve()
        return file.read_text("utf-8") if self._reports in file.parents else None
