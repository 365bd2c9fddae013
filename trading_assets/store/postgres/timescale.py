"""What TimescaleDB adds to PostgreSQL's tables: weekly chunks, compression, an aggregate that stays up to date."""

from __future__ import annotations

from typing import Final

from trading_assets.store.postgres.session import Session
from trading_assets.store.statements import literal, quoted
from trading_assets.store.tables import BOOK_SNAPSHOTS, CANDLES, FEATURES, PUBLIC_TRADES, Table

LONG: Final = (CANDLES, FEATURES, BOOK_SNAPSHOTS, PUBLIC_TRADES)
"""The tables that grow with every minute; the others stay small and plain."""

CHUNK: Final = "7 days"
COMPRESS_AFTER: Final = "30 days"

DAILY: Final = "candles_daily"
"""The continuous aggregate: one row per market, timeframe and day (UTC) of ``candles``."""

_DAILY: Final = f"""
CREATE MATERIALIZED VIEW {DAILY} WITH (timescaledb.continuous, timescaledb.materialized_only = false) AS
SELECT
    market,
    timeframe,
    time_bucket(INTERVAL '1 day', ts) AS ts,
    first(open, ts) AS open,
    max(high) AS high,
    min(low) AS low,
    last(close, ts) AS close,
    sum(volume) AS volume,
    count(*) AS candles
FROM candles
GROUP BY 1, 2, 3
WITH NO DATA
"""


def is_present(session: Session) -> bool:
    """Whether the database has the extension."""
    return len(session.fetch("SELECT 1 FROM pg_extension WHERE extname = 'timescaledb'")) > 0


def convert(session: Session, table: Table) -> list[str]:
    """Make a long table a hypertable with weekly chunks, compressed after a month; returns what had to be done.

    Rows of one market (and timeframe) are compressed together, in order of time: neighbouring prices differ little.
    Upserts and replaces go on to work in compressed chunks. An Apache-licensed build has chunks only.
    """
    if table not in LONG or _is_hypertable(session, table):
        return []
    name = literal(quoted(table.name))
    session.fetch(
        f"SELECT 1 FROM create_hypertable({name}, by_range({literal(table.time)}, INTERVAL '{CHUNK}'), "
        "create_default_indexes => false, migrate_data => true)"
    )
    done = [f"{table.name}: a hypertable with chunks of {CHUNK}"]
    if session.fetch("SELECT current_setting('timescaledb.license') AS license").item() != "timescale":
        return [*done, f"{table.name}: no compression, which the server's licence (apache) leaves out"]
    done.append(compress(session, table))
    return done + (_add_daily(session) if table is CANDLES else [])


def compress(session: Session, table: Table) -> str:
    """Have the server compress a hypertable's chunks after a month, by its key; returns what was done."""
    name, at = quoted(table.name), table.key.index(table.time)
    segment, order = ", ".join(table.key[:at]), ", ".join(table.key[at:])
    session.run(
        f"ALTER TABLE {name} SET (timescaledb.compress, "
        f"timescaledb.compress_segmentby = {literal(segment)}, timescaledb.compress_orderby = {literal(order)})"
    )
    session.fetch(
        f"SELECT 1 FROM add_compression_policy({literal(name)}, INTERVAL '{COMPRESS_AFTER}', if_not_exists => true)"
    )
    return f"{table.name}: compressed after {COMPRESS_AFTER}, by {segment}"


def decompress(session: Session, table: Table) -> bool:
    """Take a hypertable's compression away, before its key changes; whether it had any.

    Compression is arranged by the key, and a server refuses to change a key that lies in compressed chunks, or leaves
    the old arrangement as it is. Chunks need the space of uncompressed ones until the server's next compression run.
    """
    name = quoted(table.name)
    known = (
        "SELECT 1 FROM timescaledb_information.hypertables WHERE hypertable_schema = current_schema() "
        f"AND hypertable_name = {literal(table.name)} AND compression_enabled"
    )
    if not is_present(session) or session.fetch(known).is_empty():
        return False
    session.fetch(f"SELECT 1 FROM remove_compression_policy({literal(name)}, if_exists => true)")
    session.fetch(f"SELECT decompress_chunk(c, true)::text FROM show_chunks({literal(name)}) c")
    session.run(f"ALTER TABLE {name} SET (timescaledb.compress = false)")
    return True


def _is_hypertable(session: Session, table: Table) -> bool:
    known = (
        "SELECT 1 FROM timescaledb_information.hypertables WHERE hypertable_schema = current_schema() "
        f"AND hypertable_name = {literal(table.name)}"
    )
    return len(session.fetch(known)) > 0


def _add_daily(session: Session) -> list[str]:
    session.run(_DAILY)
    # no start: whatever month was filled in since the last refresh is brought up to date, and nothing else
    session.fetch(
        f"SELECT 1 FROM add_continuous_aggregate_policy('{DAILY}', start_offset => NULL, "
        "end_offset => INTERVAL '1 hour', schedule_interval => INTERVAL '1 hour')"
    )
    return [f"{DAILY}: a continuous aggregate of candles, refreshed every hour"]
