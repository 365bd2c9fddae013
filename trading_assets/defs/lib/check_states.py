"""What checks said last about each market and model: the newest run knows its own alone, the page shows them all."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

import dagster as dg
import polars as pl

from trading_assets.defs.lib.partitions import Month, Window
from trading_assets.store.contract import Store
from trading_assets.store.tables import CHECK_STATES

PASSED_HERE: Final = "passed_in_this_run"
"""The metadata that says whether what the run itself looked at passed."""
BAD_PARTS: Final = "bad_partitions"
"""The metadata that names what did not, each part with what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Judged:
    """What a check found in one part of its asset.

    Attributes
    ----------
    part
        ``market|month``, a market, or a model.
    problem
        What is wrong; empty where nothing is.
    month
        The part of a month that was looked at.
    """

    part: str
    problem: str = ""
    month: Month | None = None


def remember(
    store: Store,
    context: dg.AssetCheckExecutionContext,
    asset: str,
    found: Mapping[str, Iterable[Judged]],
    *,
    known: Collection[str],
) -> dict[str, dict[str, str]]:
    """Store what checks (name -> parts) of a run found, all of an asset at once.

    Returns
    -------
    dict
        What is wrong, check by check, with parts that this run did not look at, of markets or models that the settings
        still have (``known``).
    """
    now, run = datetime.now(UTC), context.run.run_id
    rows = [
        (asset, name, one.part, one.problem, one.month and one.month.start, one.month and one.month.end, now, run)
        for name, parts in found.items()
        for one in parts
    ]
    store.upsert(CHECK_STATES, pl.DataFrame(rows, schema=CHECK_STATES.columns, orient="row"))
    judged = {(row[1], row[2]) for row in rows}
    others: dict[str, dict[str, str]] = {name: {} for name in found}
    for name, part, problem in _problems(store, asset).select("check", "part", "problem").iter_rows():
        if name in others and (name, part) not in judged and owner(part) in known:
            others[name][part] = problem
    return others


def refused_by_checks(store: Store, asset: str, part: str) -> bool:
    """Whether a check says of a part that something is wrong: the UI shows it."""
    return part in _problems(store, asset)["part"]


def passed_here(check: dg.AssetCheckEvaluation) -> bool:
    """Whether a check passed as far as its run goes: it may warn of another market or model."""
    told = check.metadata.get(PASSED_HERE)
    return check.passed if told is None else bool(told.value)


def bad_parts(metadata: Mapping[str, Any]) -> list[str]:
    """The parts that a check's result names as bad, e.g. ``binance:BTC/USDT|2025-01``."""
    return [str(told).split(": ", 1)[0] for told in metadata.get(BAD_PARTS, ())]


def owner(part: str) -> str:
    """The market (or the model) that a part belongs to."""
    return part.split("|", 1)[0]


def with_open_problems(store: Store, asset: str, found: Iterable[Window]) -> list[Window]:
    """The windows, widened to the days of their months in which a check of the asset found something.

    Else a run over other days of the month would pass, and take for mended what it did not look at.
    """
    spans = {
        part: (start, end)
        for part, start, end in _problems(store, asset).group_by("part").agg(pl.min("start"), pl.max("end")).iter_rows()
        if start is not None
    }

    def widened(month: Month) -> Month:
        start, end = spans.get(month.key, (month.start, month.end))
        return replace(month, start=min(month.start, start), end=max(month.end, end))

    return [replace(window, months=tuple(map(widened, window.months))) for window in found]


def _problems(store: Store, asset: str) -> pl.DataFrame:
    return store.read(CHECK_STATES, where={"asset": asset}).filter(pl.col("problem") != "")
