"""Which module serves which kind of URI. A provider is loaded when its first URI is opened, not before."""

from __future__ import annotations

import importlib
from dataclasses import replace
from typing import Protocol, cast

from diffgram_flows.errors import ConfigurationError
from diffgram_flows.storage.base import ObjectStore
from diffgram_flows.storage.settings import StorageSettings

PROVIDERS: dict[str, str] = {
    "az": "diffgram_flows.storage.azure",
    "file": "diffgram_flows.storage.file",
    "gs": "diffgram_flows.storage.gcs",
    "s3": "diffgram_flows.storage.s3",
}
"""Scheme of a URI to the name of the module that opens it."""


class Provider(Protocol):
    """What such a module must have."""

    def open_uri(self, uri: str, settings: StorageSettings) -> tuple[ObjectStore, str]:
        """The store of a URI and the prefix inside it, without a call over the network.

        Raises:
            ConfigurationError: The URI or a setting is wrong.
        """


def register(scheme: str, module: str) -> None:
    """Let ``module`` open the URIs of ``scheme``, from now on and in this process."""
    PROVIDERS[scheme] = module


def open_store(uri: str, settings: StorageSettings | None = None) -> tuple[ObjectStore, str]:
    """Open the bucket of a URI.

    Args:
        uri: ``s3://bucket/prefix``, ``gs://bucket/prefix``, or ``file:///a/folder`` (the folder is the bucket). It is
            taken as it is written and not URL-decoded, as keys may hold ``%``, ``?`` and ``#``.
        settings: How to reach it; by default what the environment says.

    Returns:
        The store and the prefix, ready for ``store.iter_objects(prefix)``. Nothing went over the network yet.

    Raises:
        ConfigurationError: The scheme is unknown, the URI names no bucket, or a setting is wrong.
    """
    scheme, separator, _ = uri.partition("://")
    module = PROVIDERS.get(scheme) if separator else None
    if module is None:
        known = ", ".join(f"{name}://" for name in sorted(PROVIDERS))
        raise ConfigurationError(f"No storage provider opens {uri!r}.", cure=f"Use one of {known}.")
    settings = settings or StorageSettings()
    store, prefix = _load(scheme, module).open_uri(uri, settings)
    if settings.inventory:
        from diffgram_flows.storage.inventory import InventoryStore

        shelf, folder = open_store(settings.inventory, replace(settings, inventory=None))
        store = InventoryStore(store, shelf, folder)
    return store, prefix


def _load(scheme: str, module: str) -> Provider:
    try:
        return cast(Provider, importlib.import_module(module))
    except ImportError as error:
        raise ConfigurationError(
            f"The storage provider of {scheme}:// cannot be loaded from {module}: {error}.",
            cure="Install the package that it belongs to.",
        ) from error
