"""What the node decided on each bar, whether what is stored says the same, and if not, why. Pure frames."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

import polars as pl

from trading_assets.core.candles import timeframe_delta
from trading_assets.divergence.attribution import DECISIONS
from trading_assets.journal import unpack

KEY: Final = ("market", "timeframe", "bar_ts")
"""Names a bar."""

_HELD: Final = r"^a trade (of .+ )?is open$|^closes the open trade of the other side$"
"""Why an entry that was wanted is not sent while another trade goes on: what another book may enter on all the same."""

_REFUSED: Final = ("denied", "rejected")
_CLOSE: Final = 1e-4
"""Features that differ by less, as a share, are the same: the journal holds them with seven digits."""

_SAME: Final = 1e-7


def with_wanted(signals: pl.DataFrame) -> pl.DataFrame:
    """Signals with whether the model wanted a trade, whatever became of it."""
    held = (pl.col("action") == "hold") & pl.col("reason").fill_null("").str.contains(_HELD)
    return signals.with_columns(wanted=pl.col("action").is_in(["enter", "refuse"]) | held)


def with_known_at(signals: pl.DataFrame) -> pl.DataFrame:
    """Signals with when their bar was known."""
    lengths = {name: timeframe_delta(name) for name in signals["timeframe"].unique()}
    length = pl.col("timeframe").replace_strict(lengths, return_dtype=pl.Duration("us"))
    return signals.with_columns(known_at=pl.col("bar_ts") + length)


def decisions_of(signals: pl.DataFrame, orders: pl.DataFrame, changed: pl.DataFrame) -> pl.DataFrame:
    """Columns of :data:`trading_assets.divergence.attribution.DECISIONS`, one for each model and bar.

    Parameters
    ----------
    signals
        The node's, each bar of a model once.
    orders
        The node's: an entry that the engine or the venue refused is a refused one.
    changed
        ``model``, ``market``, ``bar_ts``, ``changed`` of those that the stored rows make otherwise.
    """
    stopped = (
        orders.filter((pl.col("purpose") == "entry") & pl.col("status").is_in(_REFUSED))
        .group_by("signal_id")
        .agg(stopped=pl.col("reason").last().fill_null(""))
    )
    return (
        with_known_at(signals)
        .join(stopped, on="signal_id", how="left")
        .join(changed, on=["model", "market", "bar_ts"], how="left")
        .select(
            "model",
            "market",
            pl.col("known_at").alias("ts"),
            pl.col("bar_ts").alias("signal_ts"),
            "model_version",
            "changed",
            ((pl.col("action") == "refuse") | pl.col("stopped").is_not_null()).alias("refused"),
            pl.coalesce("stopped", "reason").alias("reason"),
        )
        .unique(["model", "market", "ts"], keep="last", maintain_order=True)
        .select(*DECISIONS)
    )


def unequal_rows(live: pl.DataFrame, stored: pl.DataFrame, features: Sequence[str]) -> pl.DataFrame:
    """The bars of which the node's feature row is not the stored one: ``market``, ``bar_ts``.

    Parameters
    ----------
    live
        Rows of ``live_features`` of one bundle.
    stored
        Rows of ``features``; a bar that is missing there says nothing.
    features
        Of the bundle, in its order.
    """
    told = pl.concat([live.select("market", "bar_ts"), unpack(live["packed"], features)], how="horizontal")
    both = told.join(
        stored.select("market", pl.col("ts").alias("bar_ts"), *features), on=["market", "bar_ts"], suffix="_stored"
    )
    return both.filter(pl.any_horizontal(_differs(name) for name in features)).select("market", "bar_ts")


def _differs(name: str) -> pl.Expr:
    ours, theirs = (
        pl.col(name).cast(pl.Float64),
        pl.col(f"{name}_stored").cast(pl.Float32).cast(pl.Float64).fill_nan(None),
    )
    far = (ours - theirs).abs() > _SAME + _CLOSE * pl.max_horizontal(ours.abs(), theirs.abs())
    return (ours.is_null() != theirs.is_null()) | far.fill_null(value=False)


def with_cause(unequal: pl.DataFrame, revisions: pl.DataFrame, *, bar: timedelta, reach: timedelta) -> pl.DataFrame:
    """Unequal bars with ``changed``: ``data`` where a candle that the row reads was revised later, else ``features``.

    Parameters
    ----------
    unequal
        Of :func:`unequal_rows`.
    revisions
        Rows of ``candle_revisions``.
    bar
        Length of the decision bars.
    reach
        How far a row looks back from the end of its bar.
    """
    end = pl.col("bar_ts") + bar
    revised = (
        unequal.join(revisions.select("market", "ts", "seen_at"), on="market")
        .filter(pl.col("seen_at") > end, pl.col("ts") < end, pl.col("ts") >= end - reach)
        .select("market", "bar_ts", changed=pl.lit("data"))
        .unique()
    )
    joined = unequal.join(revised, on=["market", "bar_ts"], how="left", maintain_order="left")
    return joined.with_columns(pl.col("changed").fill_null("features"))


def better_side(answers: pl.DataFrame) -> pl.DataFrame:
    """Of two answers on a bar the one of the higher probability, the wanted one before the other."""
    ordered = answers.sort("wanted", "probability", "side", descending=[True, True, True], nulls_last=True)
    return ordered.unique(["market", "bar_ts"], keep="first", maintain_order=True)
