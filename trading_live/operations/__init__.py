"""Watching and stopping a node from outside: heartbeat, status, health, kill switch, restarts."""
