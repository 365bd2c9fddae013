"""A search of a model of the settings, on what is stored: tried, judged, written down."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from trading_assets.core.atomic_files import write_file
from trading_assets.search.finding import Found, search
from trading_assets.search.fragment import fragment
from trading_assets.search.judging import Judged, judge_found
from trading_assets.search.running import Progress
from trading_assets.settings import Settings, StrategySettings
from trading_assets.store.contract import Store
from trading_assets.store.tables import SEARCH_TRIALS
from trading_assets.strategies.stored_data import stored_datasets

if TYPE_CHECKING:
    from trading_assets.models import Dataset


@dataclass(frozen=True)
class Outcome:
    """What a search left.

    Attributes
    ----------
    found, judged
        What was found, and what it is worth on the unseen windows.
    fragment
        As settings.
    fragment_file, report
        Where that stands, and the page.
    """

    found: Found
    judged: Judged
    fragment: str
    fragment_file: Path
    report: Path


def search_stored(
    settings: Settings, store: Store, model: str, *, anew: bool = False, progress: Progress | None = None
) -> Outcome:
    """Search for the parameters of a model, judge what is found, and write its report.

    Parameters
    ----------
    settings
        Budget, space and seed stand in the section ``search``.
    anew
        Begin a search instead of going on with an earlier one of the same settings and data.

    Raises
    ------
    TradingError
        If nothing is stored, the history is too short, no trial could be evaluated, or another process searches.

    Examples
    --------
    >>> settings = load_settings(search={"trials": 50})  # doctest: +SKIP
    >>> outcome = search_stored(settings, configured_store(settings), "syna")  # doctest: +SKIP
    >>> print(outcome.fragment)  # doctest: +SKIP
    """
    from trading_assets.search.report import render

    build: Callable[[StrategySettings], Dataset] = stored_datasets(store, settings, name=model)
    found = search(settings, model, build, anew=anew, progress=progress)
    store.replace_together([(SEARCH_TRIALS, found.rows)], where={"model": model})
    judged = judge_found(found, settings, store, build)
    text = fragment(found)
    folder = settings.reports_dir / model
    file = folder / f"{found.name}.yaml"
    folder.mkdir(parents=True, exist_ok=True)
    write_file(file, text.encode())
    page = render(found, judged, text, settings, created_at=datetime.now(UTC), file=folder / f"{found.name}.html")
    return Outcome(found, judged, text, file, page)
