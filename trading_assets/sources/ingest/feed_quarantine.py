"""Rows of a feed that broke a rule: kept as they came, each once, with the reason."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime

import polars as pl

from trading_assets.store.contract import Store
from trading_assets.store.tables import FEED_QUARANTINE


def reasons(broken: Mapping[str, pl.Expr]) -> pl.Expr:
    """The names of the rules that a row breaks, joined with a comma; empty for a good row."""
    named = [pl.when(condition.fill_null(False)).then(pl.lit(name)) for name, condition in broken.items()]
    return pl.concat_str(named, separator=",", ignore_nulls=True).alias("reason")


def quarantine_rows(store: Store, bad: pl.DataFrame, *, feed: str, subject: str, source: str, now: datetime) -> int:
    """Store rows that broke a rule; one that is there already keeps the time at which it was first seen.

    Parameters
    ----------
    bad
        The rows with their ``reason``.
    feed
        The table that they did not come into.
    subject
        Whose they are: a market, or a provider's name.
    source
        Where they came from.

    Returns
    -------
    int
        How many rows broke a rule.
    """
    if bad.is_empty():
        return 0
    values = bad.drop("reason").with_columns(pl.selectors.datetime().dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ"))
    rows = values.select(pl.struct(pl.all()).struct.json_encode()).to_series()
    digests = [int.from_bytes(hashlib.blake2b(row.encode(), digest_size=8).digest()) >> 1 for row in rows]
    stamped = pl.DataFrame(
        {
            "feed": feed,
            "subject": subject,
            "row_hash": pl.Series(digests, dtype=pl.UInt64),
            "reason": bad["reason"],
            "row": rows,
            "source": source,
            "seen_at": pl.Series([now], dtype=FEED_QUARANTINE.columns["seen_at"]).new_from_index(0, bad.height),
        }
    ).unique("row_hash", keep="first", maintain_order=True)
    where = {"feed": feed, "subject": subject}
    known = store.read(FEED_QUARANTINE, where=where, columns=["row_hash"])
    store.upsert(FEED_QUARANTINE, stamped.join(known, on="row_hash", how="anti").select(list(FEED_QUARANTINE.columns)))
    return bad.height
