"""Model bundles: a folder with all that a decision needs, and the hashes that prove it is what was tested.

The content files hold nothing that depends on the clock or the run: three of JSON (see :data:`CONTENT`), and a folder
for each side that the model trades, with what its fitted estimator saved. ``bundle.json`` holds their SHA-256, the
bundle's hash over these, and where the bundle came from. So the same data, settings and code give the same bundle hash,
wherever and whenever they are trained.
"""

from trading_assets.models.bundle.bundle import Bundle
from trading_assets.models.bundle.content import CONTENT, INDEX, REMEDY, Provenance
from trading_assets.models.bundle.reading import load, markets_on_disk
from trading_assets.models.bundle.writing import write

__all__ = ["CONTENT", "INDEX", "REMEDY", "Bundle", "Provenance", "load", "markets_on_disk", "write"]
