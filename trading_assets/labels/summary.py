"""What a frame of labels says at a glance."""

from __future__ import annotations

from typing import Final

import polars as pl

OF_ONE: Final = ("label_set", "market", "side")
"""What labels are told apart by."""

OUTCOMES: Final = {1: "target first, or it paid", 0: "neither in time", -1: "stop first, or it did not pay"}


def outcomes(labels: pl.DataFrame) -> pl.DataFrame:
    """How the labels of each set, market and side came out.

    Returns
    -------
    polars.DataFrame
        :data:`OF_ONE`, ``labels``, ``per_day`` (of the days from the first to the last), the share of each of
        :data:`OUTCOMES`, ``mean_return_bps`` after costs and ``mean_hours`` to the outcome.
    """
    days = (pl.col("ts").max() - pl.col("ts").min()).dt.total_seconds() / 86_400
    return (
        labels.group_by(OF_ONE)
        .agg(
            labels=pl.len(),
            per_day=pl.len() / pl.max_horizontal(days, pl.lit(1.0)),
            **{said: (pl.col("label") == value).mean() for value, said in OUTCOMES.items()},
            mean_return_bps=pl.col("return").mean() * 1e4,
            mean_hours=(pl.col("label_end") - pl.col("known_at")).dt.total_seconds().mean() / 3600,
        )
        .sort(*OF_ONE[:2], "side", descending=[False, False, True])
    )
