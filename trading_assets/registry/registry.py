"""The model registry: MLflow runs and model versions, with a status that changes only in legal ways."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final

from trading_assets.core.errors import ModelError
from trading_assets.core.locks import locked
from trading_assets.models.bundle import Bundle, markets_on_disk
from trading_assets.registry.events import Cause, line_of_champions
from trading_assets.registry.runs import MadeOf, parameters
from trading_assets.registry.searches import searched
from trading_assets.registry.stored import event_rows, version_rows
from trading_assets.registry.tracking import ARTIFACTS, Tracking
from trading_assets.registry.trials import CONFIGURATION_TAG, MARKETS_TAG, SHARPE_METRIC, WALK_FORWARD_TAG, Tried
from trading_assets.registry.version_tags import TRADED_UNDER, tags_of_change, tags_of_draft, version_of
from trading_assets.registry.versions import ModelVersion, Status, check_change
from trading_assets.settings import Settings
from trading_assets.store.contract import Store
from trading_assets.store.tables import MODEL_EVENTS, MODEL_VERSIONS

CHAMPION: Final = "champion"
"""The alias of a model's active version."""


class Registry:
    """Model versions and their status.

    One MLflow experiment and one registered model per model specification; one MLflow run per version, with the
    specification as parameters, the scores as metrics and the bundle's files as artifacts, and one per configuration
    that a walk-forward tried. Status, hashes, code version and Dagster run are tags of the version, and so is who
    changed its status when and why; the active one carries the alias ``champion``.

    Parameters
    ----------
    settings
        Say where the tracking server or database is; without one, it is ``mlflow.db`` in the data folder. A server
        keeps the files of runs itself; those of a database are in ``mlartifacts`` in the data folder.
    """

    def __init__(self, settings: Settings) -> None:
        self._tracking = Tracking(settings.mlflow.tracking_uri, settings.data_dir)
        self._settings = settings
        self._data_dir = settings.data_dir
        self._bundles_dir = settings.bundles_dir

    def register(self, bundle: Bundle, name: str, cause: Cause | None = None) -> int:
        """Add a bundle as a new version with status draft; a bundle that is registered already keeps its version.

        Parameters
        ----------
        bundle
            A verified bundle.
        name
            The model's name in the registry.
        cause
            Who and why; this process's user where not given, here as in all changes.

        Returns
        -------
        int
            The version.
        """
        with self._changing():
            for known in self._tracking.versions(name):
                if known.tags.get("bundle_hash") == bundle.bundle_hash:
                    return int(known.version)
            run_id = self._tracking.log_bundle(bundle, name)
            if not self._tracking.client.search_registered_models(f"name = '{name}'"):
                self._tracking.client.create_registered_model(name)
            source = f"{self._tracking.client.get_run(run_id).info.artifact_uri}/{ARTIFACTS}"
            tags = tags_of_draft(bundle, self._bundles_dir, cause or Cause())
            created = self._tracking.client.create_model_version(name, source, run_id, tags=tags)
            self._tracking.client.update_run(run_id, name=f"version {created.version} of {bundle.bundle_hash[:8]}")
            return int(created.version)

    def get(self, name: str, version: int) -> ModelVersion:
        """One version with its metrics.

        Raises
        ------
        ModelError
            If there is no such version.
        """
        for known in self.list(name):
            if known.version == version:
                with self._tracking.answering():
                    return replace(known, metrics=dict(self._tracking.client.get_run(known.mlflow_run_id).data.metrics))
        raise ModelError(
            f"model {name} has no version {version}",
            where=self._tracking.where,
            remedy="trading models lists what there is",
        )

    def list(self, name: str | None = None) -> list[ModelVersion]:
        """All versions of one model or of all, without their metrics; by name, oldest first."""
        if self._tracking.is_new:
            return []
        with self._tracking.answering():
            found = [version_of(known, self._bundles_dir) for known in self._tracking.versions(name)]
        return sorted(found, key=lambda known: (known.name, known.version))

    def champion(self, name: str) -> ModelVersion | None:
        """The active version of a model, if it has one."""
        return next((known for known in self.list(name) if known.status == "active"), None)

    def set_status(self, name: str, version: int, status: Status, cause: Cause | None = None) -> ModelVersion:
        """Change a version's status; ``active`` promotes it.

        Raises
        ------
        ModelError
            If the change is not legal: draft, approved, challenger, active, archived follow one another (steps between
            approved and archived may be left out), only an archived version can become active again, and a rejected
            one nothing.
        """
        if status == "active":
            return self.promote(name, version, cause)
        with self._changing():
            known = self.get(name, version)
            check_change(name, version, known.status, status)
            if known.status == "active" and status == "archived":
                self._tracking.client.delete_registered_model_alias(name, CHAMPION)
            self._tag(known, status, cause or Cause())
        return self.get(name, version)

    def promote(self, name: str, version: int, cause: Cause | None = None) -> ModelVersion:
        """Make a version the active one, with the alias champion, and archive its predecessor.

        Promoting the active version again changes nothing, but finishes what a killed process left undone.

        Raises
        ------
        ModelError
            If the version is neither approved nor challenger nor archived nor active already.
        """
        cause = cause or Cause()
        with self._changing():
            known = self.get(name, version)
            check_change(name, version, known.status, "active")
            self._tracking.client.set_registered_model_alias(name, CHAMPION, str(version))
            self._tag(known, "active", cause)
            followed = f"version {version} is active in its place" + (f": {cause.reason}" if cause.reason else "")
            for other in self.list(name):
                if other.status == "active" and other.version != version:
                    self._tag(other, "archived", replace(cause, reason=followed, evidence={}))
        return self.get(name, version)

    def reject(self, name: str, version: int, cause: Cause) -> ModelVersion:
        """Rule a version out by hand: it can no longer be approved or promoted, nor rolled back to.

        Raises
        ------
        ModelError
            If it is the active one, or rejected already.
        """
        with self._changing():
            known = self.get(name, version)
            check_change(name, version, known.status, "rejected")
            self._tracking.client.set_model_version_tag(name, str(version), "reason", cause.reason)
            self._tag(known, "rejected", cause)
        return self.get(name, version)

    def before(self, name: str) -> ModelVersion:
        """The version that was active before the present one; those that one went back from are passed over.

        Raises
        ------
        ModelError
            If there is none.
        """
        known = {one.version: one for one in self.list(name)}
        line = [known[number] for number in line_of_champions(known.values())]
        earlier = [one for one in line if one.status == "archived"]
        if not earlier:
            raise ModelError("no earlier version to go back to", where=f"model {name}", remedy="see trading models")
        return earlier[-1]

    def note_conditions(self, name: str, version: int, conditions: str) -> None:
        """Keep with a version what its backtest was traded under: costs, capital and limits, as a hash."""
        with self._tracking.answering():
            self._tracking.client.set_model_version_tag(name, str(version), TRADED_UNDER, conditions)

    def log_metrics(self, name: str, version: int, metrics: Mapping[str, float]) -> None:
        """Add metrics to a version, e.g. those of its backtest."""
        run_id = self.get(name, version).mlflow_run_id
        with self._tracking.answering():
            self._tracking.add_metrics(name, run_id, metrics)

    def log_files(self, name: str, version: int, files: Mapping[str, bytes]) -> None:
        """Add files to a version, e.g. the pictures of its backtest: path within the run -> content."""
        run_id = self.get(name, version).mlflow_run_id
        with self._tracking.answering():
            self._tracking.add_files(name, run_id, files)

    def count_walk_forward(
        self,
        name: str,
        markets: Sequence[str],
        configuration: str,
        metrics: Mapping[str, float],
        *,
        made_of: MadeOf | None = None,
        files: Mapping[str, bytes] = MappingProxyType({}),
    ) -> None:
        """Make a walk-forward a trial, registered or not; one of a configuration that was tried already is none.

        Parameters
        ----------
        name
            The model's name in the registry.
        markets
            Those that it was trained on.
        configuration
            Of :func:`trading_assets.registry.trials.configuration`.
        metrics
            Its scores.
        made_of
            Its specification and data, for those who look at the run.
        files
            Pictures: path within the run -> content.
        """
        with self._changing():
            if any(run.data.tags.get(WALK_FORWARD_TAG) == configuration for run in self._tracking.runs()):
                return
            tags = {WALK_FORWARD_TAG: configuration, MARKETS_TAG: json.dumps(sorted(markets))}
            params = parameters(made_of.spec, made_of.labels, made_of.features) if made_of else ()
            title = f"walk-forward, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC, configuration {configuration[:8]}"
            tags |= made_of.tags if made_of else {}
            self._tracking.log_run(name, title, tags=tags, metrics=metrics, params=params, files=files)

    def count_backtest(self, name: str, markets: Sequence[str], sharpe: float, *, configuration: str = "") -> None:
        """Make a backtest of which no version is made a trial; one that came out the same as another is none.

        Parameters
        ----------
        name, markets
            As of :meth:`count_walk_forward`.
        sharpe
            Its Sharpe ratio, annualised.
        configuration
            What its walk-forward tried, which is no further trial then; empty where that is a version's, or not known.
        """
        with self._changing():
            asked = {MARKETS_TAG: json.dumps(sorted(markets))}
            same = [run for run in self._tracking.runs() if run.data.tags.get(MARKETS_TAG) == asked[MARKETS_TAG]]
            if any(sharpe in self._tracking.backtests(run.info.run_id) for run in same):
                return
            tags = asked | ({CONFIGURATION_TAG: configuration} if configuration else {})
            title = f"backtest, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
            self._tracking.log_run(name, title, tags=tags, metrics={SHARPE_METRIC: sharpe})

    def trials(self, markets: Sequence[str]) -> Tried:
        """Everything that was tried on any of these markets, whatever the model was called and became of it.

        The trials of searches are among them, those that were pruned, failed or killed too.

        Bundles stay on disk when a registry is moved away, so there are at least as many trials as bundles; a registry
        that knows of none counts none.
        """
        if self._tracking.is_new:
            return Tried(0, ())
        with self._tracking.answering():
            tried = Tried.of(self._tracking.runs(), markets, self._tracking.backtests)
        kept = sum(1 for own in markets_on_disk(self._bundles_dir) if own is None or not set(own).isdisjoint(markets))
        if not tried.count:
            return tried
        return replace(tried, count=max(tried.count, kept)).beside(searched(self._settings, markets))

    def write_to(self, store: Store) -> None:
        """Bring the store's tables of versions and of their events up to what the registry knows, in one write."""
        known = self.list()
        versions = version_rows(known, self._bundles_dir)
        store.upsert_together([(MODEL_VERSIONS, versions), (MODEL_EVENTS, event_rows(known))])

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """One change at a time on this machine: reading, deciding and writing belong together."""
        with locked(self._data_dir / "registry.lock"), self._tracking.answering():
            yield

    def _tag(self, known: ModelVersion, status: Status, cause: Cause) -> None:
        if known.status != status:
            for key, value in tags_of_change(known, status, cause).items():
                self._tracking.client.set_model_version_tag(known.name, str(known.version), key, value)
