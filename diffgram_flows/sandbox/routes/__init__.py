"""The HTTP surface, one router a resource. To add an endpoint, add it to its router; to add a router, list it here."""

from __future__ import annotations

from diffgram_flows.sandbox.routes import (
    directories,
    exports,
    files,
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
)

ROUTERS = tuple(
    module.router
    for module in (
        users,
        projects,
        directories,
        labels,
        inputs,
        uploads,
        files,
        instances,
        models,
        jobs,
        tasks,
        exports,
        storage,
        page,
    )
)

__all__ = ["ROUTERS"]
