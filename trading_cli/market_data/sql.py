"""`trading sql`: one SELECT on the store."""

from __future__ import annotations

from typing import Annotated

import polars as pl
import typer

from trading_assets.settings import load_settings
from trading_assets.store import configured_store

_WIDE, _FEW, _WIDTH = 12, 4, 220


def sql(
    query: Annotated[str, typer.Argument(help="One SELECT, in DuckDB's dialect.")],
    rows: Annotated[int, typer.Option(min=1, help="Rows to print at most.")] = 20,
) -> None:
    """Run one SELECT on the store and print the result; docs/reference/tables.md says what a row means."""
    settings = load_settings()
    frame = configured_store(settings).query(query)
    shown = frame.head(rows)
    if frame.width > _WIDE and frame.height <= _FEW:  # a few wide rows read better as columns
        shown = shown.select(pl.all().cast(pl.String)).transpose(
            include_header=True, header_name="column", column_names=[f"row {i + 1}" for i in range(shown.height)]
        )
    with pl.Config(tbl_rows=-1, tbl_cols=-1, tbl_width_chars=_WIDTH, fmt_str_lengths=80, tbl_hide_dataframe_shape=True):
        typer.echo(shown)
    if frame.height > rows:
        typer.echo(f"... {frame.height - rows:,} more rows; see more with --rows")
