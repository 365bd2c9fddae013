"""Logs: human or JSON on the terminal, always JSON in rotated files under ``data/logs``. Secrets are masked."""

from __future__ import annotations

import logging
import logging.handlers
import sys
from typing import Any, TextIO

import structlog

from trading_assets.core.secrets import without_secrets
from trading_assets.settings import Settings

_CHATTY = ("alembic", "mlflow", "matplotlib", "asyncio")
"""Libraries whose INFO is about themselves."""

TRADES = "trading.trades"
"""The logger of trades: some thirty lines for each. As text the terminal shows its warnings alone, unless the level is
DEBUG: the file has them all, and so has a terminal that writes JSON for a collector."""

_ROTATE_BYTES = 10_000_000
_ROTATE_FILES = 5


def configure(settings: Settings, name: str) -> None:
    """Send the process's logs to the terminal and to ``data/logs/<name>.log``.

    Parameters
    ----------
    settings
        ``logs.level`` and ``logs.format`` rule the terminal.
    name
        The process's name: the file's name.
    """
    folder = settings.data_dir / "logs"
    folder.mkdir(parents=True, exist_ok=True)
    logging.raiseExceptions = False  # a disk too full for the log: the terminal has each line all the same
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.MaybeTimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        mask_secrets,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    json = structlog.processors.JSONRenderer()
    human = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    terminal = _Terminal()
    terminal.setFormatter(_formatter(shared, json if settings.logs.format == "json" else human))
    if settings.logs.format == "human" and settings.logs.level != "DEBUG":
        terminal.addFilter(lambda record: record.name != TRADES or record.levelno >= logging.WARNING)
    file = logging.handlers.RotatingFileHandler(
        folder / f"{name}.log", maxBytes=_ROTATE_BYTES, backupCount=_ROTATE_FILES, encoding="utf-8"
    )
    file.setFormatter(_formatter(shared, json))
    root = logging.getLogger()
    for handler in list(root.handlers):
        root.removeHandler(handler)
        handler.close()
    root.addHandler(terminal)
    root.addHandler(file)
    root.setLevel(settings.logs.level)
    for chatty in _CHATTY:
        logging.getLogger(chatty).setLevel(max(logging.WARNING, logging.getLevelName(settings.logs.level)))


def dropped(words: str) -> None:
    """Say in the logs that output is dropped: the files have each line all the same."""
    logging.getLogger(__name__).warning(words)


class _Terminal(logging.StreamHandler[TextIO]):
    """Writes to whatever stderr is at the moment: a progress bar stands in for it and keeps the lines above the bar."""

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = sys.stderr
        super().emit(record)


def mask_secrets(_logger: Any, _method: str, event: Any) -> Any:
    """Replace every secret of the environment in an event's texts by ``***``."""
    texts = {key: value for key, value in event.items() if isinstance(value, str)}
    return event | dict(zip(texts, without_secrets(*texts.values()), strict=True))


def _formatter(shared: list[Any], renderer: Any) -> logging.Formatter:
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
    )
