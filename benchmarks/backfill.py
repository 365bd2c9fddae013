"""Three markets and a year of minutes in one Dagster run, and one more day: ``python -m benchmarks.backfill``.

The run holds candles, quarantine, revisions, the gap ledger and the five bars, with the checks of candles; events go to
the SQLite files that the UI reads. The candles lie in Parquet files.
"""

from __future__ import annotations

import resource
import tempfile
import time
from datetime import date, timedelta
from pathlib import Path

import yaml

from benchmarks.store import DAY, candles
from benchmarks.table import Measurement, Target, main

MARKETS = ("bench:A/USDT", "bench:B/USDT", "bench:C/USDT")
DAYS = 365
FIRST = date(2020, 1, 1)
LAST = FIRST + timedelta(days=DAYS)
"""The day that is added."""


def run() -> list[Measurement]:
    """Fill a year, then add a day to it; the same day after a history of just its month as the peer."""
    with tempfile.TemporaryDirectory() as name:
        desk = Desk(Path(name))
        year = desk.filled(FIRST, "year")
        day = desk.one_more_day(FIRST, "year")
        desk.filled(LAST.replace(day=1), "month")
        after_a_month = desk.one_more_day(LAST.replace(day=1), "month")
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MiB")
    rows = len(MARKETS) * DAYS * DAY
    return [
        Measurement(f"{len(MARKETS)} markets x {DAYS} days, files to bars", year, rows, target=Target(max_seconds=20)),
        Measurement(
            f"one more day of {len(MARKETS)} markets after {DAYS} days",
            day,
            len(MARKETS) * DAY,
            f"the same after {LAST.day - 1} days",
            after_a_month,
            Target(max_seconds=3),
        ),
    ]


class Desk:
    """The code location over three markets in files, with a data folder per history."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        files = {market: str(folder / f"{market[6]}.parquet") for market in MARKETS}
        settings = {
            "history": {"start": FIRST.isoformat(), "end": (LAST + timedelta(days=1)).isoformat()},
            "sources": {"disk": {"kind": "files", "paths": files}},
            "markets": {market: {"source": "disk"} for market in MARKETS},
            "models": {"model": {"markets": [MARKETS[0]]}},
            "quality": {"gap_share": {"max_share": 1.0}},  # the last month is young
        }
        (folder / "bench.yaml").write_text(yaml.safe_dump(settings))
        self.frames = {market: candles((DAYS + 1) * DAY, market=market) for market in MARKETS}

    def filled(self, first: date, name: str) -> float:
        """Seconds of the run that fills all days from ``first`` on but the last."""
        self._hold(first, LAST)
        return self._run(name, first, LAST - timedelta(days=1), days=(LAST - first).days)

    def one_more_day(self, first: date, name: str) -> float:
        """Seconds of the run that adds the last day."""
        self._hold(first, LAST + timedelta(days=1))
        return self._run(name, LAST, LAST, days=(LAST - first).days + 1)

    def _hold(self, first: date, end: date) -> None:
        days = slice((first - FIRST).days * DAY, (end - FIRST).days * DAY)
        for market, frame in self.frames.items():
            frame[days].drop("market", "timeframe").write_parquet(self.folder / f"{market[6]}.parquet")

    def _run(self, name: str, first: date, last: date, *, days: int) -> float:
        import dagster as dg

        from trading_assets.defs.lib.partitions import partition_key, range_tags
        from trading_assets.defs.lib.resources import resources
        from trading_assets.defs.market_data import candle_checks, candles
        from trading_assets.defs.sql_models import bars
        from trading_assets.launch.runs import run
        from trading_assets.settings import load_settings
        from trading_assets.store import configured_store
        from trading_assets.store.tables import CANDLES

        settings = load_settings(self.folder / "bench.yaml", data_dir=self.folder / name)
        keys = (partition_key(MARKETS[0], f"{first:%Y-%m}"), partition_key(MARKETS[-1], f"{last:%Y-%m}"))
        gates = candle_checks.candle_gates(settings)
        definitions = dg.Definitions(
            assets=[candles.candles_asset(settings), *bars.bar_assets(settings)],
            asset_checks=[gates],
            jobs=[dg.define_asset_job("to_bars")],
            resources=resources(settings),
            executor=dg.in_process_executor,
        )
        begin = time.perf_counter()
        result = run(settings, "to_bars", name, tags=range_tags(*keys), definitions=definitions)
        seconds = time.perf_counter() - begin
        assert result.success, result.failures
        assert len(result.checks) >= len(gates.check_specs_by_output_name)
        stored = configured_store(settings).read(CANDLES, columns=["market"])
        assert stored.group_by("market").len()["len"].to_list() == [days * DAY] * len(MARKETS)
        return seconds


if __name__ == "__main__":
    main(run, __doc__, title="Backfill")
