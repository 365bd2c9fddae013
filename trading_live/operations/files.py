"""The names of the files by which a node is watched and stopped, in ``settings.live_dir``. Imports nothing."""

from typing import Final

LOCK_FILE: Final = "node.lock"
HEARTBEAT_FILE: Final = "node.json"
KILL_FILE: Final = "kill.json"
KILL_MARK: Final = b" kill"
"""In the lock file, where the folder takes no kill file."""
