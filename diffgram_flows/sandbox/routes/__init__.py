"""The HTTP surface, one router a resource. To add an endpoint, add it to its router; to add a router, list it here."""

from __future__ import annotations

from diffgram_flows.sandbox.routes import (
    attributes,
    batches,
    chunks,
    directories,
    exports,
    filelist,
    files,
    guides,
    inputs,
    instances,
    jobs,
    labels,
    models,
    page,
    projects,
    storage,
    tasks,
    uploads,
    users,
    workflows,
)

ROUTERS = tuple(
    module.router
    for module in (
        users,
        projects,
        directories,
        labels,
        attributes,
        inputs,
        batches,
        uploads,
        chunks,
        filelist,
        files,
        instances,
        models,
        jobs,
        tasks,
        exports,
        workflows,
        guides,
        storage,
        page,
    )
)

__all__ = ["ROUTERS"]
