"""Recorded order books and public trades: a durable spool on disk, and its way into the store, exactly once."""

from trading_assets.recordings.load import LoadReport, load_recordings, load_streamed
from trading_assets.recordings.recorded import recorded_rows
from trading_assets.recordings.spool import KINDS, Segment, Spool, pending, read_segment, spool_folder

__all__ = [
    "KINDS",
    "LoadReport",
    "Segment",
    "Spool",
    "load_recordings",
    "load_streamed",
    "pending",
    "read_segment",
    "recorded_rows",
    "spool_folder",
]
