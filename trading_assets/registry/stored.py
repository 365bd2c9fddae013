"""The registry's versions and their events as rows of the store, so that SQL, the UI and the command need no MLflow."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import polars as pl

from trading_assets.registry.version_tags import folder_name
from trading_assets.registry.versions import ModelVersion
from trading_assets.store.tables import MODEL_EVENTS, MODEL_VERSIONS


def version_rows(versions: Iterable[ModelVersion], bundles_dir: Path) -> pl.DataFrame:
    """Rows of the table ``model_versions``."""
    rows = [
        {
            "model": known.name,
            "version": known.version,
            "status": known.status,
            "bundle": folder_name(known.bundle_path, bundles_dir),
            "bundle_hash": known.bundle_hash,
            "dataset_hash": known.dataset_hash,
            "train_start": known.train_start,
            "train_end": known.train_end,
            "created_at": known.created_at,
            "changed_at": known.changed_at,
            "run_id": known.run_id,
            "traded_under": known.traded_under,
        }
        for known in versions
    ]
    return pl.DataFrame(rows, schema=MODEL_VERSIONS.columns)


def event_rows(versions: Iterable[ModelVersion]) -> pl.DataFrame:
    """Rows of the table ``model_events``."""
    rows = [
        {
            "model": known.name,
            "version": known.version,
            "event": event.number,
            "ts": event.ts,
            "old_status": event.old,
            "new_status": event.new,
            "changed_by": event.cause.by,
            "reason": event.cause.reason,
            "evidence": json.dumps(event.cause.evidence, default=str),
        }
        for known in versions
        for event in known.events
    ]
    return pl.DataFrame(rows, schema=MODEL_EVENTS.columns)
