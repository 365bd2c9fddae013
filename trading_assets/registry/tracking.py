"""The registry's runs and versions in MLflow: found page by page, brought back where somebody deleted them."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from trading_assets.models.bundle import Bundle
from trading_assets.registry.mlflow_client import artifacts_beside, explained, is_database, open_client
from trading_assets.registry.runs import lineage, measured, parameters
from trading_assets.registry.trials import SHARPE_METRIC

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Param, Run
    from mlflow.entities.model_registry import ModelVersion as MlflowVersion

_LOG: Final = logging.getLogger(__name__)

ARTIFACTS: Final = "bundle"
"""Where the bundle's files are among a run's artifacts."""


class Tracking:
    """One MLflow experiment and one registered model per model specification.

    Parameters
    ----------
    tracking_uri
        Where the server or database is; without one, it is ``mlflow.db`` in ``data_dir``. A server keeps the files of
        runs itself; those of a database are in ``mlartifacts`` in ``data_dir``.
    data_dir
        The data folder.
    """

    def __init__(self, tracking_uri: str | None, data_dir: Path) -> None:
        self._tracking_uri = tracking_uri
        self._database = data_dir / "mlflow.db"

    @property
    def where(self) -> str:
        """The address or file, for messages."""
        return self._tracking_uri or str(self._database)

    @property
    def is_new(self) -> bool:
        """Whether nothing was ever recorded; knowing saves the seconds that importing MLflow takes."""
        return self._tracking_uri is None and not self._database.exists()

    @cached_property
    def client(self) -> MlflowClient:
        """MLflow's client; the database is made where there is none."""
        return open_client(self._tracking_uri, self._database)

    def answering(self) -> AbstractContextManager[None]:
        """Within the block, an error of MLflow's is one of ours that says what to do."""
        return explained(self.where)

    def versions(self, name: str | None) -> Iterator[MlflowVersion]:
        """The versions of one model or of all that are bundles of ours."""
        token: str | None = None
        while True:
            page = self.client.search_model_versions(f"name = '{name}'" if name else None, page_token=token)
            yield from (known for known in page if "bundle_hash" in known.tags)
            token = page.token
            if not token:
                return

    def runs(self) -> Iterator[Run]:
        """All runs of all experiments, deleted ones too."""
        from mlflow.entities import ViewType

        known = self.client.search_experiments(view_type=ViewType.ALL)
        experiments = [experiment.experiment_id for experiment in known]
        token: str | None = None
        while True:
            page = self.client.search_runs(experiments, run_view_type=ViewType.ALL, page_token=token)
            yield from page
            token = page.token
            if not token:
                return

    def backtests(self, run_id: str) -> Sequence[float]:
        """The Sharpe ratios that a run's backtests had, one after the other."""
        return [entry.value for entry in self.client.get_metric_history(run_id, SHARPE_METRIC)]

    def log_bundle(self, bundle: Bundle, name: str) -> str:
        """Record a bundle with its files as a run, and return the run's id."""
        run = self.client.create_run(self._experiment(name), run_name=bundle.bundle_hash[:16], tags=lineage(bundle))
        run_id: str = run.info.run_id
        of = parameters(bundle.spec, bundle.labels, bundle.features)
        self.client.log_batch(run_id, metrics=measured(bundle.metrics), params=of)
        self.client.log_artifacts(run_id, str(bundle.folder), ARTIFACTS)
        self.client.set_terminated(run_id)
        return run_id

    def log_run(
        self,
        name: str,
        title: str,
        *,
        tags: Mapping[str, str],
        metrics: Mapping[str, float],
        params: Sequence[Param] = (),
        files: Mapping[str, bytes] = MappingProxyType({}),
    ) -> None:
        """Record a run of its own, with what it was made of and its files."""
        run_id = self.client.create_run(self._experiment(name), run_name=title, tags=dict(tags)).info.run_id
        self.client.log_batch(run_id, metrics=measured(metrics), params=params)
        self._log_files(run_id, files)
        self.client.set_terminated(run_id)

    def add_files(self, name: str, run_id: str, files: Mapping[str, bytes]) -> None:
        """Add files to a run, in place of those of the same names."""
        self._restore(name, run_id)
        self._log_files(run_id, files)

    def add_metrics(self, name: str, run_id: str, metrics: Mapping[str, float]) -> None:
        """Add metrics to a run."""
        self._restore(name, run_id)
        self.client.log_batch(run_id, metrics=measured(metrics))

    def _log_files(self, run_id: str, files: Mapping[str, bytes]) -> None:
        if not files:
            return
        with tempfile.TemporaryDirectory(prefix="trading-files-") as folder:
            for name, content in files.items():
                file = Path(folder) / name
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(content)
            self.client.log_artifacts(run_id, folder)

    def _experiment(self, name: str) -> str:
        if experiment := self.client.get_experiment_by_name(name):
            number = str(experiment.experiment_id)
            if experiment.lifecycle_stage == "deleted":
                _LOG.warning("%s: the deleted experiment %s is restored, a new run belongs to it", self.where, name)
                self.client.restore_experiment(number)
            return number
        served = self._tracking_uri and not is_database(self._tracking_uri)  # a server keeps files itself
        artifacts = None if served else artifacts_beside(self._database)
        return str(self.client.create_experiment(name, artifact_location=artifacts))

    def _restore(self, name: str, run_id: str) -> None:
        """Bring a version's run back that was deleted in MLflow's page, alone or with its experiment."""
        self._experiment(name)
        if self.client.get_run(run_id).info.lifecycle_stage == "deleted":
            _LOG.warning("%s: the deleted run %s of model %s is restored", self.where, run_id, name)
            self.client.restore_run(run_id)
