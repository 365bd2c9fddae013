"""The reference page of the tables, written from their declarations: ``python -m trading_assets.store.describe``."""

from __future__ import annotations

import sys
from typing import Final

import polars as pl

from trading_assets.settings import PROJECT_ROOT
from trading_assets.store.tables import BARS, TABLES, Table

_HEAD = """# Tables

Written from `trading_assets/store/tables/` by `python -m trading_assets.store.describe`; do not edit.

Every time is UTC with microseconds. `market` is `exchange:SYMBOL` with the CCXT symbol. `ts` is the OPEN time of a bar
or candle; in what a node journalled it is when the event happened. Writes are idempotent by the key. A table whose rows
a SQL model selects names its file. There are bars of every timeframe that divides the day; two of these are shown.
"""

_EXAMPLES: Final = (BARS["1m"], BARS["15m"])


def tables_markdown() -> str:
    """The page: what a row means, key, window column and every column of each table."""
    shown = [table for table in TABLES.values() if not table.on_demand or table in _EXAMPLES]
    index = "\n".join(f"| [`{table.name}`](#{table.name}) | {table.row} |" for table in shown)
    parts = [_HEAD, f"| table | one row |\n|---|---|\n{index}\n", *(_section(table) for table in shown)]
    return "\n".join(parts)


def _section(table: Table) -> str:
    facts = [f"Key: {_code(table.key)}."]
    if table.time:
        facts.append(f"Windows are cut on `{table.time}`.")
    file = f"dbt_like_sql/{'bars_{timeframe}' if table in BARS.values() else table.name}.sql"
    if table.view:
        facts.append("Not stored: a view of `candles`.")
    elif (PROJECT_ROOT / file).is_file():
        facts.append(f"Selected by `{file}`.")
    if table.open_ended:
        facts.append("Further columns: one Float64 per feature.")
    rows = "\n".join(
        f"| `{column}` | {_type(dtype)} | {table.note(column)} |" for column, dtype in table.columns.items()
    )
    return f"## {table.name}\n\n{table.row} {' '.join(facts)}\n\n| column | type | meaning |\n|---|---|---|\n{rows}\n"


def _code(names: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _type(dtype: pl.DataType | type[pl.DataType]) -> str:
    name = str(dtype() if isinstance(dtype, type) else dtype)
    return "time (UTC)" if name.startswith("Datetime") else name


if __name__ == "__main__":
    sys.stdout.write(tables_markdown())
