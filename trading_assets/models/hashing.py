"""The content hash of data sets: the store's."""

from trading_assets.store.hashing import frame_hash

__all__ = ["frame_hash"]
