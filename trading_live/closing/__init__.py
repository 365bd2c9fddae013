"""Closes what is ours at the venue where no engine can, and tells what a kill closed and left open."""
