"""What MLflow keeps of a version in tags, and how it is read again."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from trading_assets.models.bundle import Bundle
from trading_assets.registry.events import Cause, events_of, next_event
from trading_assets.registry.runs import lineage
from trading_assets.registry.versions import ModelVersion, Status

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion as MlflowVersion

TRADED_UNDER: Final = "traded_under"
"""The costs, capital and limits that its backtest was traded with, as a hash."""


def tags_of_draft(bundle: Bundle, bundles_dir: Path, cause: Cause) -> dict[str, str]:
    """Of a version that is registered now."""
    now = datetime.now(UTC)
    event, told = next_event((), now, "", "draft", cause).tag()
    return lineage(bundle) | {
        "status": "draft",
        "bundle": folder_name(bundle.folder, bundles_dir),
        "changed_at": now.isoformat(),
        event: told,
    }


def tags_of_change(known: ModelVersion, status: Status, cause: Cause) -> dict[str, str]:
    """Of a version whose status changes, in the order to write them: a killed change is finished by the next one."""
    now = datetime.now(UTC)
    event, told = next_event(known.events, now, known.status, status, cause).tag()
    return {event: told, "changed_at": now.isoformat(), "status": status}


def version_of(known: MlflowVersion, bundles_dir: Path) -> ModelVersion:
    """A version as its tags have it."""
    tags = known.tags
    return ModelVersion(
        name=known.name,
        version=int(known.version),
        status=cast("Status", tags["status"]),
        bundle_path=bundles_dir / tags["bundle"],
        bundle_hash=tags["bundle_hash"],
        dataset_hash=tags["dataset_hash"],
        code_version=tags["code_version"],
        run_id=tags["dagster_run_id"],
        train_start=datetime.fromisoformat(tags["train_start"]),
        train_end=datetime.fromisoformat(tags["train_end"]),
        created_at=datetime.fromtimestamp(known.creation_timestamp / 1000, UTC),
        changed_at=datetime.fromisoformat(tags["changed_at"]),
        mlflow_run_id=known.run_id or "",
        traded_under=tags.get(TRADED_UNDER, ""),
        events=events_of(tags),
    )


def folder_name(folder: Path, bundles_dir: Path) -> str:
    """A bundle's folder from the folder of all bundles on, where it lies there."""
    inside = folder.is_relative_to(bundles_dir)
    return (folder.relative_to(bundles_dir) if inside else folder.resolve()).as_posix()
