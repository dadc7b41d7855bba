"""Sources: one file per public data set, archive or sample set; each yields Records.

`names()` lists them, `get(name)` gives one (`osler.sources.base.Source`).
"""

from osler.sources.base import Fetched, Source, get, names

__all__ = ["Fetched", "Source", "get", "names"]
