"""Recordings: order books and public trades from the recorder's spool, loaded exactly once."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

import dagster as dg

from trading_assets.defs.lib.metadata import DATA_TEAM, Metadata, asset_metadata, preview
from trading_assets.recordings import load_recordings, load_streamed, pending, spool_folder
from trading_assets.settings import Settings
from trading_assets.sources.ingest.streamed import take_streamed
from trading_assets.store.contract import Store
from trading_assets.store.tables import BOOK_SNAPSHOTS, PUBLIC_TRADES, RECORDING_GAPS, Table

GROUP: Final = "recordings"
_PREVIEWED: Final = 5
_ASSETS: Final = (
    (BOOK_SNAPSHOTS, "The best levels of the order book, at most one snapshot in each interval."),
    (PUBLIC_TRADES, "Every trade that the venue reported, anybody's."),
    (RECORDING_GAPS, "Where the recording may lack something: lost connections, restarts, numbers that jump."),
)


@dg.multi_asset(
    name="recordings",
    specs=[
        dg.AssetSpec(
            table.name,
            description=text,
            group_name=GROUP,
            owners=[DATA_TEAM],
            kinds={"polars", "duckdb"},
            metadata=asset_metadata(table),
        )
        for table, text in _ASSETS
    ],
)
def recordings(
    context: dg.AssetExecutionContext, settings: dg.ResourceParam[Settings], store: dg.ResourceParam[Store]
) -> Iterator[dg.MaterializeResult[None]]:
    """Bring new segments into their tables; a segment is removed only after its rows are stored."""
    report = load_recordings(store, spool_folder(settings), keep=settings.record.keep_segments)
    added = load_streamed(spool_folder(settings), lambda rows: take_streamed(store, rows, now=datetime.now(UTC)))
    if added:
        context.log.info(f"{added:,} streamed candles that waited are stored")
    if report.torn_bytes:
        context.log.warning(f"a recorder was killed: {report.torn_bytes:,} bytes of an unfinished write are left out")
    for table, _ in _ASSETS:
        facts = {"new_rows": report.rows[table.name], "repeated_rows": report.repeated[table.name]}
        told = {"segments": report.segments, "torn_bytes": report.torn_bytes}
        yield dg.MaterializeResult(asset_key=table.name, metadata={**_describe(store, table), **facts, **told})


def _describe(store: Store, table: Table) -> Metadata:
    """Rows per market and range, without reading a table that grows by millions."""
    counts = store.query(
        f"SELECT market, count(*) AS rows, min({table.time}) AS first, max({table.time}) AS last "
        f"FROM {table.name} GROUP BY market ORDER BY market"
    )
    newest = store.tail(table, where={}, before=datetime.max.replace(tzinfo=UTC), rows=_PREVIEWED)
    found: Metadata = {
        "dagster/row_count": int(counts["rows"].sum()),
        "markets": preview(counts, rows=counts.height),
        "preview": preview(newest),
    }
    if counts.height:
        found |= {"first": str(counts["first"].min()), "last": str(counts["last"].max())}
    return found


load_recorded = dg.define_asset_job(
    "load_recordings",
    selection=dg.AssetSelection.assets(*(table.name for table, _ in _ASSETS)),
    description="Brings what the recorder wrote into the tables.",
)


@dg.sensor(
    job=load_recorded,
    description="The recorder has written something new: starts the job load_recordings.",
    name="recordings_ingest",
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def recordings_ingest(settings: dg.ResourceParam[Settings]) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Load the recorder's segments when there are closed ones; one that stays is asked for again after an hour."""
    waiting = pending(spool_folder(settings))
    if not waiting:
        yield dg.SkipReason("the recorder has closed no segment since the newest load")
        return
    yield dg.RunRequest(run_key=f"{waiting[-1].stem}@{datetime.now(UTC):%Y-%m-%dT%H}")
