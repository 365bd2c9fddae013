"""What the newest materializations stand for: a model's version, and the code and settings that made data."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import dagster as dg

from trading_assets.core.errors import ModelError
from trading_assets.store.contract import Store
from trading_assets.store.tables import BACKTEST_METRICS


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
        raise ModelError(
            f"the asset {asset} has none of it yet",
            where=f"model {model}",
            remedy="trading models shows how far it came; trading train, backtest and approve come first, or the job "
            "retrain",
        )
    return found


def backtested(instance: dg.DagsterInstance, store: Store, model: str) -> int | None:
    """The version that the newest backtest of a model traded; of a store that came from elsewhere, the newest there."""
    if (found := newest(instance, "backtest", model)) is not None:
        return found.version
    return max(store.read(BACKTEST_METRICS, where={"model": model}, columns=["version"])["version"], default=None)


def refuse_outdated(instance: dg.DagsterInstance, asset: str, markets: Iterable[str], *, code_version: str) -> None:
    """Refuse months of a market that other code or other settings made: a table must not be a mixture.

    Months that were never materialized in this instance are not known of, and pass.

    Raises
    ------
    ModelError
        Names the market, the first and the last such month, and the command that makes them again.
    """
    key = dg.AssetKey(asset)
    made = sorted(str(part).rsplit("|", 1) for part in instance.get_materialized_partitions(key))
    for market in markets:
        months = [month for owner, month in made if owner == market]
        old = [month for month in months if _made_by(instance, key, market, month) != code_version]
        if old:
            raise ModelError(
                f"{asset} of {old[0]} to {old[-1]} were made by other code or settings",
                where=market,
                remedy=f"run trading backfill --market {market} --from {old[0]} --to {old[-1]}",
            )


def _made_by(instance: dg.DagsterInstance, asset: dg.AssetKey, market: str, month: str) -> str | None:
    wanted = dg.AssetRecordsFilter(asset, asset_partitions=[f"{market}|{month}"])
    made = instance.fetch_materializations(wanted, limit=1).records[0].asset_materialization
    return None if made is None else (made.tags or {}).get("dagster/code_version")
