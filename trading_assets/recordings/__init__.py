"""Recorded order books and public trades: a durable spool on disk, and its way into the store, exactly once."""

from trading_assets.recordings.load import LoadReport, load_recordings
from trading_assets.recordings.spool import KINDS, Segment, Spool, pending, read_segment, spool_folder

__all__ = [
    "KINDS",
    "LoadReport",
    "Segment",
    "Spool",
    "load_recordings",
    "pending",
    "read_segment",
    "spool_folder",
]
