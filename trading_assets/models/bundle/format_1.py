"""Bundles of format 1, which are still read: one LightGBM model, of the long side, beside the files of JSON."""

from __future__ import annotations

import json
from typing import Any, Final

MODEL: Final = "model.txt"

CONTENT: Final = (MODEL, "features.json", "settings.json", "metrics.json")
"""The hashed files, in the order in which their hashes were combined."""


def settings(content: bytes) -> bytes:
    """``settings.json`` as format 2 has it; what cannot be read is given back as it is, to be refused by its reader."""
    try:
        described: Any = json.loads(content)
        parameters = described["spec"].pop("lightgbm")
        described["spec"]["estimator"] = {"kind": "lightgbm", **parameters}
    except (ValueError, RecursionError, LookupError, TypeError, AttributeError):
        return content
    return json.dumps(described).encode()
