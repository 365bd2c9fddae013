"""The weights that the node sizes by: one file beside the deployment manifest, swapped as a whole."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator

from trading_assets.core.atomic_files import write_file
from trading_assets.core.errors import ModelError

WEIGHTS: Final = "portfolio.json"
_WHOLE: Final = 1 + 1e-9


class SleeveWeights(BaseModel):
    """The share of the account's equity that each model's trades are sized on.

    Attributes
    ----------
    decided_at
        UTC.
    method
        That they were found by.
    weights
        Model -> share; a model that is not there has none. Together at most 1.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[1] = 1
    decided_at: AwareDatetime
    method: str
    weights: dict[str, Annotated[float, Field(ge=0, le=1)]]

    @model_validator(mode="after")
    def _share_one_account(self) -> SleeveWeights:
        if (total := sum(self.weights.values())) > _WHOLE:
            raise ValueError(f"weights make {total:.4f} of the account, which is there once")
        return self


def read_weights(live_dir: Path) -> SleeveWeights | None:
    """Read the weights; None where none were decided yet.

    Raises
    ------
    ModelError
        If the file cannot be read or holds no weights.
    """
    file = live_dir / WEIGHTS
    try:
        return SleeveWeights.model_validate_json(file.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ModelError(f"cannot read it: {error.strerror}", where=str(file)) from None
    except ValidationError as error:
        problem = error.errors()[0]
        place = ".".join(str(part) for part in problem["loc"])
        what = f"{place + ': ' if place else ''}{problem['msg'].removeprefix('Value error, ')}"
        raise ModelError(
            f"no weights: {what}", where=str(file), remedy="remove the file and materialize portfolio again"
        ) from None


def write_weights(live_dir: Path, weights: SleeveWeights) -> None:
    """Swap the weights: a reader sees the old ones or the new ones, also after a crash."""
    write_file(live_dir / WEIGHTS, (weights.model_dump_json(indent=2) + "\n").encode())
