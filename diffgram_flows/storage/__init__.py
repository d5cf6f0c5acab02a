"""Buckets: list what is in them, and hand out signed URLs of it.

A store is one bucket behind four verbs: ``check`` it, ``iter_objects`` of it in key order, ``lease`` an object (a
signed URL with the time until which it is certainly valid) and ``read`` an object's bytes. Everything else in the
package is written against :class:`ObjectStore` and never learns which provider it talks to::

    store, prefix = open_store("s3://photos/2026/")
    with store:
        for stored in store.iter_objects(prefix):
            lease = store.lease(stored, timedelta(hours=6))

A provider is one module with an ``open_uri`` function, and one line in :data:`PROVIDERS`. Importing this room loads no
provider's library; opening a store loads its own.
"""

from __future__ import annotations

from diffgram_flows.storage.base import (
    MAX_SIGNED_TTL,
    MIN_SIGNED_TTL,
    READ_LIMIT,
    ObjectStore,
    StorageSettings,
    fetchable,
)
from diffgram_flows.storage.registry import PROVIDERS, open_store, register

__all__ = [
    "MAX_SIGNED_TTL",
    "MIN_SIGNED_TTL",
    "PROVIDERS",
    "READ_LIMIT",
    "ObjectStore",
    "StorageSettings",
    "fetchable",
    "open_store",
    "register",
]
