"""From the spool into the store, exactly once: a stored row stays as it is, however often a segment is loaded."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import polars as pl

from trading_assets.core.errors import NodeError
from trading_assets.recordings.spool import (
    CANDLES_FOLDER,
    KINDS,
    RECORDER_LOCK,
    SEALED,
    Segment,
    folders,
    read_segment,
    seal_leftovers,
    take_lock,
)
from trading_assets.store.contract import Store
from trading_assets.store.tables import Table

RECORDED: Final = KINDS[:3]
"""Books, trades and gaps: rows of which the first reception counts."""

LOADED: Final = "loaded"
TORN: Final = ".torn"

_LOADER_LOCK: Final = "loader.lock"
_BATCH_BYTES: Final = 64_000_000
_INSTANT: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class LoadReport:
    """What a load did.

    Attributes
    ----------
    rows
        Table's name -> rows that were new.
    repeated
        Table's name -> rows that came more than once, or were stored already.
    segments
        Segments that were loaded.
    torn_bytes
        Bytes of records that a killed recorder did not finish.
    """

    rows: dict[str, int]
    repeated: dict[str, int]
    segments: int = 0
    torn_bytes: int = 0


def load_recordings(store: Store, root: Path, *, keep: bool = False, wait_s: float = 60.0) -> LoadReport:
    """Bring what was recorded into ``book_snapshots``, ``public_trades`` and ``recording_gaps``, exactly once.

    Each table is written in one transaction; a segment is removed only after all three hold its rows. A load that is
    killed in between is finished by the next one: a row is known by the table's key, and of rows with one key the
    store keeps the one that was received first, whatever the order of loading.

    Parameters
    ----------
    store
        Where to; its connections are held only for each read and write.
    root
        The spool's folder: every venue and environment below it is loaded.
    keep
        Move loaded segments to ``loaded/`` instead of deleting them.
    wait_s
        How long to wait while another process loads.

    Raises
    ------
    NodeError
        If another process loads for longer than that.
    StoreError
        If the store is held by others for too long; the segments stay.
    """
    rows, repeated = ({table.name: 0 for table in RECORDED} for _ in range(2))
    segments = torn = 0

    def take(found: Sequence[Segment]) -> None:
        nonlocal segments, torn
        for table in RECORDED:
            frames = [one.frames[table.name] for one in found if table.name in one.frames]
            if not frames:
                continue
            given = pl.concat(frames)
            fresh = unseen(store, table, given)
            repeated[table.name] += given.height - fresh.height
            rows[table.name] += store.upsert(table, fresh) if fresh.height else 0
        segments += len(found)
        torn += sum(one.torn_bytes for one in found)

    _load_each((one for one in folders(root) if not one.name.endswith(CANDLES_FOLDER)), take, keep=keep, wait_s=wait_s)
    return LoadReport(rows, repeated, segments, torn)


def load_streamed(root: Path, take: Callable[[pl.DataFrame], int], *, wait_s: float = 60.0) -> int:
    """Give the streamed candles that wait below a folder to who stores them; returns how many were new.

    A segment is removed only after its candles are stored; loading one again changes nothing.

    Parameters
    ----------
    root
        The spool's folder.
    take
        Stores rows of ``streamed_candles`` by key, and says how many are new.
    wait_s
        How long to wait while another process loads.

    Raises
    ------
    NodeError
        If another process loads for longer than that.
    StoreError
        If the store is held by others for too long; the segments stay.
    """
    added = 0

    def store(found: Sequence[Segment]) -> None:
        nonlocal added
        frames = [frame for one in found for frame in one.frames.values()]
        added += take(pl.concat(frames)) if frames else 0

    _load_each((one for one in folders(root) if one.name.endswith(CANDLES_FOLDER)), store, keep=False, wait_s=wait_s)
    return added


def _load_each(places: Iterable[Path], take: Callable[[Sequence[Segment]], None], *, keep: bool, wait_s: float) -> None:
    """Give what waits in folders to who stores it, a batch at a time; segments go when what they hold is stored."""
    for folder in places:
        with _alone(folder, wait_s):
            for batch in _batches(folder):
                found = [read_segment(path) for path in batch]
                take(found)
                for path, one in zip(batch, found, strict=True):
                    _remove(path, keep=keep, torn=one.torn_bytes > 0)


def unseen(store: Store, table: Table, frame: pl.DataFrame) -> pl.DataFrame:
    """The rows that the store lacks, or has as received later; one per key, the first that was received."""
    first = frame.sort("known_at", maintain_order=True).unique(table.key, keep="first", maintain_order=True)
    begin, end = first[table.time].min(), first[table.time].max()
    assert isinstance(begin, datetime)
    assert isinstance(end, datetime)
    stored = store.read(
        table,
        where={"market": first["market"].unique().sort().to_list()},
        start=begin,
        end=end + _INSTANT,
        columns=[*table.key, "known_at"],
    )
    both = first.join(stored, on=list(table.key), how="left", suffix="_stored")
    is_new = pl.col("known_at_stored").is_null() | (pl.col("known_at") < pl.col("known_at_stored"))
    return both.filter(is_new).select(list(table.columns)).sort(table.key)


@contextmanager
def _alone(folder: Path, wait_s: float) -> Iterator[None]:
    """One load of a folder at a time; what a killed recorder left behind is sealed first."""
    lock = take_lock(folder / _LOADER_LOCK, wait_s=wait_s)
    if lock is None:
        raise NodeError(
            f"another process loads for longer than {wait_s:g} s",
            where=str(folder),
            remedy="nothing is lost; load again later",
        )
    with lock:
        if (recorder := take_lock(folder / RECORDER_LOCK)) is not None:
            with recorder:
                seal_leftovers(folder)
        yield


def _batches(folder: Path) -> Iterator[Sequence[Path]]:
    batch: list[Path] = []
    size = 0
    for path in sorted(folder.glob(f"*{SEALED}")):
        batch.append(path)
        size += path.stat().st_size
        if size >= _BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _remove(path: Path, *, keep: bool, torn: bool) -> None:
    if torn:
        path.rename(path.with_suffix(TORN))  # what could not be read is left to look at
    elif keep:
        (path.parent / LOADED).mkdir(exist_ok=True)
        path.rename(path.parent / LOADED / path.name)
    else:
        path.unlink()
