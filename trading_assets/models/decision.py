"""One decision: what the node does when a bar closes, and what the parity certificate repeats."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import polars as pl

from trading_assets import features
from trading_assets.labels import scale_lookback, widths
from trading_assets.models.bundle import Bundle

type Companions = Mapping[str, pl.DataFrame]
type Compute = Callable[[pl.DataFrame, Companions], pl.DataFrame]
"""(bars of one market, companions) -> features of each bar: :func:`trading_assets.features.compute`."""


@dataclass(frozen=True, slots=True)
class Decision:
    """A model's answer on the newest bar.

    Attributes
    ----------
    features
        The bar's feature row.
    probability
        Of take-profit first.
    take_profit, stop_loss
        The barriers' distances as fractions of the entry price; None where the market stood still.
    """

    features: pl.DataFrame
    probability: float
    take_profit: float | None
    stop_loss: float | None


def decide(
    bundle: Bundle, held: pl.DataFrame, companions: Companions | None = None, *, compute: Compute = features.compute
) -> Decision:
    """Answer on the last of the bars that a node holds.

    Parameters
    ----------
    bundle
        The model.
    held
        The newest bars of one market, ascending; at least as many as the features look back on.
    companions
        What else features read, up to the last bar's ``known_at``.
    compute
        What computes the features.
    """
    row = compute(held, companions or {}).tail(1)
    target, stop = widths(held.tail(scale_lookback(bundle.labels)), bundle.labels).row(-1)
    return Decision(row, float(bundle.predict(row)[0]), target, stop)
