"""Fills that the journal takes back: it never changes a row, so another one of the opposite side does it."""

from __future__ import annotations

from typing import Final

import polars as pl

TAKEN_BACK: Final = "taken-back-"
"""How the number of a fill begins that takes another one back; that one's number may follow."""


def standing(fills: pl.DataFrame) -> pl.DataFrame:
    """Fills without those of which the journal names the one that takes them back, and without that.

    Parameters
    ----------
    fills
        With ``order_id`` and ``trade_id``.
    """
    back = fills.select("order_id", "trade_id").filter(pl.col("trade_id").str.starts_with(TAKEN_BACK))
    pairs = back.with_columns(pl.col("trade_id").str.strip_prefix(TAKEN_BACK))
    named = pairs.join(fills, on=["order_id", "trade_id"], how="semi")
    both = pl.concat([named, named.with_columns(trade_id=TAKEN_BACK + pl.col("trade_id"))])
    return fills.join(both, on=["order_id", "trade_id"], how="anti", maintain_order="left")
