"""The page of ``trading metrics``: parts that are read one after the other, each of which may fail alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import structlog
from prometheus_client import CollectorRegistry

from trading_assets.core.atomic_files import write_file
from trading_assets.monitoring.exported import catalogue as m
from trading_assets.monitoring.exported.page import Page
from trading_live.metrics.exposition import PageCollector, text_of
from trading_live.metrics.server import serving

_LOG: Final = structlog.get_logger(__name__)

Read = Callable[[Page, datetime], None]


class Exporter:
    """Makes pages, and shows the newest one.

    Parameters
    ----------
    parts
        Name -> reads it. What fails is left out and named; the others are there.
    """

    def __init__(self, parts: Mapping[str, Read]) -> None:
        self.page = Page()
        self.registry = CollectorRegistry()
        self.registry.register(PageCollector(lambda: self.page))
        self._parts = parts

    def read(self) -> Page:
        """Make a new page, and show it from now on."""
        page = Page()
        for part, read in self._parts.items():
            began, failed = time.monotonic(), False
            try:
                read(page, datetime.now(UTC))
            except Exception as error:
                failed = True
                _LOG.warning("metrics", part=part, error=f"{type(error).__name__}: {error}")
            page.set(m.FAILED, failed, part)
            page.set(m.TOOK, time.monotonic() - began, part)
        page.set(m.AT, time.time())
        self.page = page
        return page

    def text(self) -> str:
        """The newest page as Prometheus reads it."""
        return text_of(self.registry)

    def write(self, file: Path) -> None:
        """Put the newest page into a file for node_exporter's textfile collector, whole or not at all.

        Raises
        ------
        OSError
            If it cannot be written.
        """
        write_file(file, self.text().encode())

    def serving(self, host: str, port: int, tell: Callable[[str, str], None]) -> AbstractContextManager[int | None]:
        """Serve the newest page within a block; yields the port, None where it cannot be had."""
        return serving(self.registry, host, port, tell)
