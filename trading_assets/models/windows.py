"""The rows that an estimator reads: one for each prediction, or a window of them where it looks back."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from trading_assets.core.errors import ModelError

Matrix = npt.NDArray[np.float64]


def matrix(frame: pl.DataFrame, features: tuple[str, ...]) -> Matrix:
    """The feature columns as a float64 matrix, row-major, in the given order.

    Raises
    ------
    ModelError
        If a column is missing or not numeric.
    """
    present = set(frame.columns)
    missing = [name for name in features if name not in present]
    if missing:
        raise ModelError(
            f"the frame lacks the features {', '.join(missing[:5])}{' ...' if missing[5:] else ''}",
            remedy="compute features with the code that the model was trained with",
        )
    if frame.height == 1 and (row := _one_row(frame, features)) is not None:
        return row
    chosen = frame[list(features)]
    if set(chosen.dtypes) != {pl.Float64}:
        try:
            chosen = chosen.cast(pl.Float64)
        except pl.exceptions.PolarsError as error:
            raise ModelError(f"a feature is not numeric: {error}", remedy="compute features again") from None
    return chosen.to_numpy(order="c")


def _one_row(frame: pl.DataFrame, features: tuple[str, ...]) -> Matrix | None:
    """The row that a node asks about: a query of the frame would wait for another thread, longer than it takes."""
    values = dict(zip(frame.columns, frame.row(0), strict=True))
    try:
        return np.array([[values[name] for name in features]], dtype=np.float64)
    except (TypeError, ValueError):
        return None  # not numeric: the general way says so


def inputs(
    frame: pl.DataFrame, features: tuple[str, ...], lookback_rows: int = 1, history: pl.DataFrame | None = None
) -> Matrix:
    """What an estimator gets for each row of a frame.

    Parameters
    ----------
    frame
        Feature rows; with ``market`` and ``ts`` where an estimator looks back.
    features
        The columns, in the order of training.
    lookback_rows
        Rows of a market that one prediction reads, its own included.
    history
        Further feature rows of these markets, before and between those of the frame; in any order, and rows that the
        frame has too may be among them.

    Returns
    -------
    numpy.ndarray
        ``(rows, features)``, or ``(rows, lookback_rows, features)``, oldest first, where an estimator looks back: rows
        from before a market's first one are NaN. In the frame's order.

    Raises
    ------
    ModelError
        If a column is missing or not numeric.
    """
    if lookback_rows == 1:
        return matrix(frame, features)
    known = _with_history(frame, features, history)
    values = matrix(known, features)
    ends = known["place"].arg_sort(nulls_last=True).head(frame.height).to_numpy()
    first = known["market"].rle_id().search_sorted(known["market"].rle_id()).to_numpy()
    places = ends[:, np.newaxis] - np.arange(lookback_rows - 1, -1, -1)
    windows: Matrix = values[np.maximum(places, 0)]
    windows[places < first[ends][:, np.newaxis]] = np.nan
    return windows


def _with_history(frame: pl.DataFrame, features: tuple[str, ...], history: pl.DataFrame | None) -> pl.DataFrame:
    """All rows by market and time; ``place`` says which row of the frame each is, null for one that is not in it."""
    if lacking := [name for name in ("market", "ts", *features) if name not in frame.columns]:
        raise ModelError(
            f"the frame lacks {', '.join(lacking[:5])}", remedy="give rows of the table features, with their keys"
        )
    columns = ["market", "ts", *features]
    rows = frame.select(columns).with_row_index("place")
    if history is not None:
        further = history.select(columns).join(rows, on=["market", "ts"], how="anti").unique(["market", "ts"])
        rows = pl.concat([rows, further], how="diagonal_relaxed")
    return rows.sort("market", "ts")
