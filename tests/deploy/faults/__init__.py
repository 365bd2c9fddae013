"""A fault for every alert: real parts of the node, of the store or of Dagster in the state that the alert is about.

Each gives two pages or more: what was scraped while all was well, and what is scraped from the fault on.
"""

from tests.deploy.faults import bars, decisions, orders, process, runs
from tests.deploy.faults.bench import FAULTS, Bench, Pages

__all__ = ["FAULTS", "Bench", "Pages", "bars", "decisions", "orders", "process", "runs"]
