"""The database of searches: where every trial stands that was begun, whatever became of it, and how they are counted.

Optuna writes a trial before it is evaluated, so one whose process was killed is there too. There is no second book that
could disagree: the trials of a search are counted where they are kept.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from trading_assets.core.errors import ModelError
from trading_assets.core.locks import locked
from trading_assets.registry.screenings import screened_sets
from trading_assets.registry.trials import Tried

if TYPE_CHECKING:
    from optuna.storages import BaseStorage
    from optuna.trial import FrozenTrial
    from sqlalchemy import Engine

    from trading_assets.settings import Settings

MARKETS: Final = "markets"
"""Of a study: the markets that its model trades."""

CONFIGURATION: Final = "configuration"
"""Of a trial: what it tried, as a hash; without it nothing was tried on any data."""

SHARPE: Final = "sharpe"
"""Of a trial that was evaluated to its end: the annualised Sharpe ratio of its daily net returns."""

_WAIT_S: Final = 60


def search_file(settings: Settings) -> Path:
    """The database, where the settings name no other."""
    return settings.data_dir / "search.db"


def open_searches(settings: Settings) -> BaseStorage:
    """The database of searches, made where there is none.

    Raises
    ------
    ModelError
        If it does not open.
    """
    address, file = settings.search.storage, search_file(settings)
    if address is not None:
        return _open(address, address, {})
    file.parent.mkdir(parents=True, exist_ok=True)
    with locked(file.with_suffix(".lock")):  # two that make the tables at once would both fail
        return _open(f"sqlite:///{file}", str(file), {"connect_args": {"timeout": _WAIT_S}})


def searched(settings: Settings, markets: Sequence[str]) -> Tried:
    """All that searches and screenings tried on any of these markets; what was tried twice counts once."""
    if settings.search.storage is None and not search_file(settings).exists():
        return Tried(0, ())
    storage = open_searches(settings)
    found: dict[str, float | None] = {}
    for study in storage.get_all_studies():
        if set(study.user_attrs.get(MARKETS, markets)).isdisjoint(markets):
            continue
        found |= _by_configuration(storage.get_all_trials(study._study_id, deepcopy=False), found)
    found |= screened_sets(engine_of(storage), markets)
    return Tried(len(found), tuple(value for value in found.values() if value is not None))


def engine_of(storage: BaseStorage) -> Engine:
    """The database itself."""
    engine: Engine = storage.engine
    return engine


def tried_in(trials: Sequence[FrozenTrial]) -> Tried:
    """What some trials tried."""
    found = _by_configuration(trials, {})
    return Tried(len(found), tuple(value for value in found.values() if value is not None))


def _by_configuration(trials: Sequence[FrozenTrial], known: dict[str, float | None]) -> dict[str, float | None]:
    found: dict[str, float | None] = {}
    for trial in trials:
        key = trial.user_attrs.get(CONFIGURATION)
        if key is not None:
            before = found.get(key, known.get(key))
            found[key] = trial.user_attrs.get(SHARPE) if before is None else before
    return found


def _open(address: str, where: str, engine: dict[str, Any]) -> BaseStorage:
    with quiet():
        from optuna.storages import RDBStorage
        from sqlalchemy import event
        from sqlalchemy.exc import SQLAlchemyError

        try:
            storage = RDBStorage(address, engine_kwargs=engine)
        except (SQLAlchemyError, ImportError, ValueError) as error:
            reason = " ".join(str(error).split())[:300]
            raise ModelError(
                f"the database of searches does not open: {reason}",
                where=where,
                remedy="check search.storage in the settings; a damaged local file can be moved away",
            ) from error
    if address.startswith("sqlite"):
        event.listen(storage.engine, "connect", _write_ahead)
        storage.engine.dispose()
    return storage


def _write_ahead(connection: Any, _record: Any) -> None:
    """Each report of a trial is a commit: it need not wait for the disk, and a killed process loses none."""
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")


@contextmanager
def quiet() -> Iterator[None]:
    """Optuna says on the terminal what this project says itself, and warns of names that may still change."""
    from optuna.logging import ERROR, set_verbosity

    set_verbosity(ERROR)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="optuna")
        warnings.filterwarnings("ignore", message=".*is experimental.*")
        yield
