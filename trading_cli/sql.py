"""`trading sql`: one SELECT on the store."""

from __future__ import annotations

from typing import Annotated

import polars as pl
import typer

from trading_assets.settings import load_settings
from trading_assets.store import open_store


def sql(
    query: Annotated[str, typer.Argument(help="One SELECT, in DuckDB's dialect.")],
    rows: Annotated[int, typer.Option(min=1, help="Rows to print at most.")] = 20,
) -> None:
    """Run one SELECT on the store and print the result; docs/reference/tables.md says what a row means."""
    settings = load_settings()
    frame = open_store(settings.store_url, lock_timeout_s=settings.store.lock_timeout_s).query(query)
    with pl.Config(
        tbl_rows=rows, tbl_cols=-1, tbl_width_chars=200, fmt_str_lengths=60, tbl_hide_column_data_types=True
    ):
        typer.echo(frame.head(rows))
    if frame.height > rows:
        typer.echo(f"... {frame.height - rows:,} more rows; see more with --rows")
