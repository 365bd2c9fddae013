"""The model registry and the node's deployment manifest. Importing this does not load MLflow."""

from trading_assets.registry.choice import approved_version, chosen_version
from trading_assets.registry.deployment import (
    DeployedModel,
    Manifest,
    deploy,
    read_manifest,
    shadow,
    undeploy,
    unshadow,
    write_manifest,
)
from trading_assets.registry.events import Cause, ModelEvent
from trading_assets.registry.registry import CHAMPION, Registry
from trading_assets.registry.trials import Tried, configuration
from trading_assets.registry.versions import ModelVersion, Status

__all__ = [
    "CHAMPION",
    "Cause",
    "DeployedModel",
    "Manifest",
    "ModelEvent",
    "ModelVersion",
    "Registry",
    "Status",
    "Tried",
    "approved_version",
    "chosen_version",
    "configuration",
    "deploy",
    "read_manifest",
    "shadow",
    "undeploy",
    "unshadow",
    "write_manifest",
]
