"""Buckets: list what is in them, and hand out signed URLs of it.

A store is one bucket behind a few verbs: ``preflight`` and ``check`` it, ``iter_objects`` of it in key order (or of
its ``plan_ranges`` side by side, :func:`list_parallel`), ``lease`` an object or ``sign_many`` (signed URLs with the
time until which they are certainly valid) and ``read`` an object's bytes. Everything else in the package is written
against :class:`ObjectStore` and never learns which provider it talks to::

    store, prefix = open_store("s3://photos/2026/")
    with store:
        for lease in store.sign_many(store.iter_objects(prefix, suffixes={".jpg"}), timedelta(hours=6)):
            ...

What we keep ourselves (snapshots, brains) lies in a :class:`Folder`, on a disk or in a bucket: :func:`open_folder`.

A provider is one module with an ``open_uri`` function, and one line in :data:`PROVIDERS`. Importing this room loads no
provider's library; opening a store loads its own.
"""

from __future__ import annotations

from diffgram_flows.storage.base import (
    MAX_SIGNED_TTL,
    MIN_SIGNED_TTL,
    READ_LIMIT,
    KeyRange,
    ObjectStore,
    OnFailure,
)
from diffgram_flows.storage.folders import Folder, open_folder
from diffgram_flows.storage.judging import OnSkip, SkipReason, Wanted, fetchable
from diffgram_flows.storage.preflight import Finding, PreflightReport
from diffgram_flows.storage.ranges import list_parallel
from diffgram_flows.storage.registry import PROVIDERS, open_store, register
from diffgram_flows.storage.settings import StorageSettings

__all__ = [
    "MAX_SIGNED_TTL",
    "MIN_SIGNED_TTL",
    "PROVIDERS",
    "READ_LIMIT",
    "Finding",
    "Folder",
    "KeyRange",
    "ObjectStore",
    "OnFailure",
    "OnSkip",
    "PreflightReport",
    "SkipReason",
    "StorageSettings",
    "Wanted",
    "fetchable",
    "list_parallel",
    "open_folder",
    "open_store",
    "register",
]
