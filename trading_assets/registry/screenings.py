"""The book of screened parameter sets, in the database of searches, and the daily returns that each of them had.

A set is a trial like those of a search: it stands there before it is looked at. Ten thousand at once would take
Optuna's tables minutes, so they have one of their own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import polars as pl

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from trading_assets.settings import Settings

RETURNS: Final = "returns"
"""Column of a kept screening: the daily returns of a set, from its ``first_day`` on."""

CONFIGURATION: Final = "configuration"
"""Column of a kept screening: what a set tried, as the book has it."""

_TABLE: Final = "screened_sets"
_MANY: Final = 50_000


def begin_screening(engine: Engine, markets: Sequence[str], configurations: Sequence[str]) -> None:
    """Write down what is about to be tried: from now on it counts. What was tried before counts once.

    Parameters
    ----------
    engine
        Of the database of searches.
    markets
        That the sets are tried on.
    configurations
        What each tries, as a hash.
    """
    from sqlalchemy import insert, select

    table = _table(engine)
    with engine.begin() as connection:
        known = set(connection.execute(select(table.c.configuration)).scalars())
        new = [one for one in dict.fromkeys(configurations) if one not in known]
        rows = [{"configuration": one, "markets": json.dumps(sorted(markets)), "sharpe": None} for one in new]
        for at in range(0, len(rows), _MANY):
            connection.execute(insert(table), rows[at : at + _MANY])


def end_screening(engine: Engine, sharpes: Mapping[str, float]) -> None:
    """Write down what came out: the annualised Sharpe ratio of each configuration's daily returns."""
    from sqlalchemy import bindparam, update

    table = _table(engine)
    change = update(table).where(table.c.configuration == bindparam("of")).values(sharpe=bindparam("found"))
    with engine.begin() as connection:
        if sharpes:
            connection.execute(change, [{"of": one, "found": sharpe} for one, sharpe in sharpes.items()])


def screened_sets(engine: Engine, markets: Sequence[str]) -> dict[str, float | None]:
    """What was screened on any of these markets: configuration -> Sharpe ratio; None where it was not looked at."""
    from sqlalchemy import inspect, select

    if not inspect(engine).has_table(_TABLE):
        return {}
    table = _table(engine)
    with engine.connect() as connection:
        rows = connection.execute(select(table.c.configuration, table.c.markets, table.c.sharpe)).all()
    overlaps = {told: not set(json.loads(told)).isdisjoint(markets) for told in {row.markets for row in rows}}
    return {row.configuration: row.sharpe for row in rows if overlaps[row.markets]}


def screening_folder(settings: Settings, model: str) -> Path:
    """Where the screenings of a model are kept: a Parquet file each."""
    return settings.data_dir / "screening" / model


def kept_screenings(settings: Settings, markets: Sequence[str]) -> list[pl.DataFrame]:
    """The kept screenings of all models on any of these markets, by name of the file.

    Returns
    -------
    list of polars.DataFrame
        A row per set: ``configuration``, its parameters and figures, ``first_day`` (UTC), ``unseen_from``, ``markets``
        and ``returns`` (an array of daily returns, one for each day from ``first_day`` on).
    """
    found = []
    for file in sorted((settings.data_dir / "screening").glob("*/*.parquet")):
        frame = pl.read_parquet(file)
        if frame.height and not set(frame["markets"][0]).isdisjoint(markets):
            found.append(frame)
    return found


def _table(engine: Engine) -> Any:
    from sqlalchemy import Column, Float, MetaData, String, Table, Text

    made = MetaData()
    columns = (Column("configuration", String(64), primary_key=True), Column("markets", Text, nullable=False))
    table = Table(_TABLE, made, *columns, Column("sharpe", Float, nullable=True))
    made.create_all(engine, checkfirst=True)
    return table
