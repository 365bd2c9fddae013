"""The model registry and the deployment manifest that the node reads."""
