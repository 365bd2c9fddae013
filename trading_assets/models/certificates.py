"""The parity certificate as a file beside its bundle: without one that passed a model is neither approved nor deployed.

:mod:`trading_assets.models.parity` makes it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from trading_assets.core.atomic_files import write_file
from trading_assets.core.errors import ModelError
from trading_assets.models.bundle import Bundle

FILE: Final = "certificate.json"
"""Beside the bundle's hashed files: it tells of a bundle and is not part of it."""

BARRIERS: Final = ("take_profit", "stop_loss")
UNIT: Final = "unit"
"""Of the distances of a named exit plan."""
_AGAIN: Final = "run the job retrain for it"


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Divergence(_Frozen):
    """The first bar, and in it the first column, that the node would see otherwise.

    Attributes
    ----------
    market, ts
        The bar; ``ts`` is its open.
    column
        A feature, ``probability`` (of a short trade ``probability_short``), ``take_profit`` or ``stop_loss``;
        ``unit``, of the distances of an exit plan.
    stored, live
        The value that research saw, and the node's; None stands for null.
    """

    market: str
    ts: AwareDatetime
    column: str
    stored: float | None
    live: float | None

    def __str__(self) -> str:
        return (
            f"{self.column} of {self.market} at {self.ts:%Y-%m-%d %H:%M} is {self.stored!r} in the tables, "
            f"but {self.live!r} as the node computes it"
        )


class Compared(_Frozen):
    """The bars of one market that were compared: how many, and the first and the last one's open."""

    bars: int
    first: AwareDatetime
    last: AwareDatetime


class Certificate(_Frozen):
    """What a comparison found.

    Attributes
    ----------
    bundle_hash
        The model.
    markets
        The bars of each.
    columns
        How many columns were compared in each bar: features, the probability of each side, and barriers.
    divergence
        The first one; None where node and tables agree.
    made_at
        When.
    leader
        The leading market whose bars the model reads (``features.leader`` when it was made); None where it reads none.
    tolerance
        How far apart two probabilities could be to agree: what the estimator declares; 0 asks for the last bit.
    """

    format: Literal[1] = 1
    bundle_hash: str
    markets: dict[str, Compared]
    columns: int
    divergence: Divergence | None
    made_at: AwareDatetime
    leader: str | None = None
    tolerance: float = 0.0

    @property
    def bars(self) -> int:
        """Bars of all markets."""
        return sum(one.bars for one in self.markets.values())

    def __str__(self) -> str:
        compared = f"{self.columns} columns of the newest {self.bars:,} bars"
        return f"{self.divergence} ({compared} compared)" if self.divergence else f"{compared} agree"


def write(bundle: Bundle, certificate: Certificate) -> Path:
    """Put the certificate beside its bundle, in place of an older one."""
    path = bundle.folder / FILE
    write_file(path, (certificate.model_dump_json(indent=2) + "\n").encode())
    return path


def check(bundle: Bundle) -> Certificate:
    """Read a bundle's certificate and refuse the model where it has none that passed.

    Raises
    ------
    ModelError
        If the certificate is missing, of another bundle or unreadable, or names a divergence.
    """
    where = f"model {bundle.model}, bundle {bundle.bundle_hash[:16]}"
    try:
        certificate = Certificate.model_validate_json((bundle.folder / FILE).read_bytes())
    except OSError:
        raise ModelError("it has no parity certificate", where=where, remedy=_AGAIN) from None
    except ValidationError as error:
        raise ModelError(f"its {FILE} is unreadable: {error.errors()[0]['msg']}", where=where, remedy=_AGAIN) from None
    if certificate.bundle_hash != bundle.bundle_hash:
        other = certificate.bundle_hash[:16]
        raise ModelError(f"its {FILE} was made for bundle {other}", where=where, remedy=_AGAIN)
    if (one := certificate.divergence) is not None:
        raise ModelError(
            f"the node would not see what the research saw: {certificate}",
            where=where,
            remedy=_remedy(one),
        )
    return certificate


def _remedy(one: Divergence) -> str:
    first = f"materialize bars, features and labels of {one.market} from {one.ts:%Y-%m} on, then retrain"
    if one.column in (*BARRIERS, UNIT):
        return f"{first}; if it stays, choose smaller scale_bars or atr_bars: the node holds what features read"
    return f"{first}; if it stays, {one.column} sees more than the node knows: trading prove-features"
