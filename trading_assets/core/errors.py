"""The project's own exceptions: each message says what is wrong, where, and what to do about it, and no secret."""

from __future__ import annotations

from trading_assets.core.secrets import without_secrets


class TradingError(Exception):
    """A problem that the user can understand and mend.

    The command line prints it on one line and exits with code 2; only ``--debug`` shows the traceback.

    Parameters
    ----------
    what
        What is wrong, with the offending value.
    where
        The place: a file, a market and month, a setting's name.
    remedy
        What the user can do, preferably a command.
    """

    def __init__(self, what: str, *, where: str = "", remedy: str = "") -> None:
        self.what, self.where, self.remedy = without_secrets(what, where, remedy)
        message = f"{self.where}: {self.what}" if where else self.what
        super().__init__(f"{message}; {self.remedy}" if remedy else message)


class SettingsError(TradingError):
    """A setting is unknown, of the wrong type, out of range or contradicts another."""


class SourceError(TradingError):
    """A candle source cannot deliver: unknown market, unreadable file, exchange refusal."""


class StoreError(TradingError):
    """The store cannot be opened, is corrupted, or is held by another process."""


class SqlModelError(TradingError):
    """A SQL model cannot be loaded or run; the place is file and line."""


class MissingCandles(TradingError):
    """A computation needs candles that are not stored."""


class InvalidFrame(TradingError):
    """A frame breaks the contract of its table: columns, types, order, time zone or uniqueness."""


class ModelError(TradingError):
    """A model cannot be trained, loaded or trusted."""


class BundleError(ModelError):
    """A model bundle is missing, incomplete, or its hashes do not match."""


class NodeError(TradingError):
    """The live node cannot start or go on."""
