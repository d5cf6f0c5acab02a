"""Preparations for the recordings of accounts, schemas, imports, uploads, batches and files."""

from __future__ import annotations

from contract.preparing import before
from contract.stage import Stage


@before("02/schema_new")
def no_schema_vehicles(stage: Stage) -> None:
    stage.execute("DELETE FROM label_schema WHERE name = 'vehicles'")
