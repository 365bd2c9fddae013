"""One version of a model, and the life that it may lead."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final, Literal, get_args

from trading_assets.core.errors import ModelError
from trading_assets.registry.events import ModelEvent

Status = Literal["draft", "approved", "challenger", "active", "archived", "rejected"]

NEXT: Final[dict[str, tuple[Status, ...]]] = {
    "draft": ("approved", "rejected"),
    "approved": ("active", "challenger", "archived", "rejected"),
    "challenger": ("active", "archived", "rejected"),
    "active": ("archived",),
    "archived": ("active", "rejected"),
    "rejected": (),
}
"""The legal changes; from archived to active is a rollback. A challenger passed its gates and decides in shadow."""


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """One version of a model in the registry.

    Attributes
    ----------
    name, version
        The model specification's name, and 1, 2, 3 ...
    status
        draft, approved, challenger, active, archived or rejected.
    bundle_path, bundle_hash
        The bundle's folder and identity.
    dataset_hash, code_version, run_id
        What it was trained on, by which code and in which Dagster run.
    train_start, train_end
        The first and the last decision that it was trained on; UTC.
    created_at, changed_at
        When it was registered, and when its status changed last; UTC.
    mlflow_run_id
        The MLflow run that holds its parameters, metrics and files.
    metrics
        Its metrics; empty in lists, see ``Registry.get``.
    traded_under
        A hash of the costs, capital and limits of its backtest; empty where that is not known.
    events
        The changes of its status, the oldest first.
    """

    name: str
    version: int
    status: Status
    bundle_path: Path
    bundle_hash: str
    dataset_hash: str
    code_version: str
    run_id: str
    train_start: datetime
    train_end: datetime
    created_at: datetime
    changed_at: datetime
    mlflow_run_id: str
    metrics: dict[str, float] = field(default_factory=dict)
    traded_under: str = ""
    events: tuple[ModelEvent, ...] = ()

    @property
    def was_active(self) -> bool:
        """Whether it is or once was the active version; one whose events were not kept was, if it is archived."""
        if self.status == "active" or any("active" in (event.old, event.new) for event in self.events):
            return True
        return self.status == "archived" and not self.events


def check_change(name: str, version: int, old: str, new: str) -> None:
    """Refuse an illegal change of status; staying as it is is legal.

    Raises
    ------
    ModelError
        Names the status, and what it may change to.
    """
    if new not in get_args(Status):
        raise ModelError(f"{new!r} is not a status", remedy=f"one of {', '.join(get_args(Status))}")
    if new != old and new not in NEXT.get(old, ()):
        raise ModelError(
            f"a version that is {old} cannot become {new}",
            where=f"model {name} version {version}",
            remedy=f"it can become {' or '.join(NEXT[old])}" if NEXT.get(old) else "it stays so",
        )
