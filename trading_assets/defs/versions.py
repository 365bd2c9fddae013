"""Which model version an asset's newest materialization of a model stands for, as its metadata says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import dagster as dg

from trading_assets.errors import ModelError


@dataclass(frozen=True, slots=True)
class Materialized:
    """The newest materialization of an asset for one model."""

    storage_id: int
    run_id: str
    metadata: dict[str, Any]

    @property
    def version(self) -> int:
        """The model version that it stands for."""
        return int(self.metadata["version"])


def newest(instance: dg.DagsterInstance, asset: str, model: str) -> Materialized | None:
    """Read the newest materialization of an asset for one model; None where there is none."""
    wanted = dg.AssetRecordsFilter(asset_key=dg.AssetKey(asset), asset_partitions=[model])
    records = instance.fetch_materializations(wanted, limit=1).records
    if not records or records[0].asset_materialization is None:
        return None
    values = {key: entry.value for key, entry in records[0].asset_materialization.metadata.items()}
    return Materialized(records[0].storage_id, records[0].run_id, values)


def required(instance: dg.DagsterInstance, asset: str, model: str) -> Materialized:
    """Like :func:`newest`.

    Raises
    ------
    ModelError
        If the asset was never materialized for the model.
    """
    found = newest(instance, asset, model)
    if found is None:
        raise ModelError(f"no {asset} of this model", where=f"model {model}", remedy="run the job retrain for it")
    return found
