"""The ledger's tables. A change here needs a migration in ``migrations/versions``; a test compares the two.

Every row belongs to a *target*: one dataset of one project on one server, so that one database can serve many.
"""

from __future__ import annotations

import sqlalchemy as sa

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# Keys are compared as bytes, the order in which buckets list them. SQLite does that by itself.
Bytewise = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

objects = sa.Table(
    "objects",
    metadata,
    sa.Column("id", Id, primary_key=True, autoincrement=True),
    sa.Column("target", sa.Text, nullable=False),
    sa.Column("bucket", sa.Text, nullable=False),
    sa.Column("key", Bytewise, nullable=False),
    sa.Column("version", sa.Text, nullable=False),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("modified", sa.Float),
    sa.Column("file_name", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("file_id", sa.BigInteger),
    sa.Column("input_id", sa.BigInteger),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("updated_at", sa.Float, nullable=False),
    sa.Column("created_at", sa.Float),  # unknown for rows of the first schema
    sa.Column("claim_id", sa.BigInteger),  # the claim that holds it on its way
    sa.Column("successor", sa.BigInteger),  # the row of the version that took its place
    sa.UniqueConstraint("target", "bucket", "key", "version"),
    sa.UniqueConstraint("target", "file_name"),
    sa.Index(None, "target", "state", "id"),
    sa.Index(None, "target", "file_id"),
)
sa.Index(
    "ix_objects_claim_id",
    objects.c.claim_id,
    sqlite_where=objects.c.claim_id.is_not(None),
    postgresql_where=objects.c.claim_id.is_not(None),
)

# Written by a trigger (migration 0002), so that no change of state can be made without it.
events = sa.Table(
    "events",
    metadata,
    sa.Column("id", Id, primary_key=True, autoincrement=True),
    sa.Column("object_id", sa.BigInteger, nullable=False),
    sa.Column("at", sa.Float, nullable=False),
    sa.Column("what", sa.Text, nullable=False),
    sa.Column("detail", sa.Text, nullable=False),
    sa.Index(None, "object_id"),
)

# How many changes of objects a target has seen: states by the same trigger, new objects by recording.py.
positions = sa.Table(
    "positions",
    metadata,
    sa.Column("target", sa.Text, primary_key=True),
    sa.Column("position", sa.BigInteger, nullable=False),
)

claims = sa.Table(
    "claims",
    metadata,
    sa.Column("id", Id, primary_key=True, autoincrement=True),
    sa.Column("target", sa.Text, nullable=False),
    sa.Column("worker", sa.Text, nullable=False),
    sa.Column("expires_at", sa.Float, nullable=False),
    sa.Index(None, "target", "expires_at"),
    sqlite_autoincrement=True,  # the number of a claim that is gone never comes back
)

plans = sa.Table(
    "plans",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("target", sa.Text, nullable=False),
    sa.Column("created_at", sa.Float, nullable=False),
    sa.Column("position", sa.BigInteger, nullable=False),
    sa.Column("parameters", sa.Text, nullable=False),
    sa.Column("counts", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("applied", sa.BigInteger, nullable=False),
    sa.Index(None, "target", "created_at"),
)

plan_rows = sa.Table(
    "plan_rows",
    metadata,
    sa.Column("plan_id", sa.Text, primary_key=True),
    sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("bucket", sa.Text, nullable=False),
    sa.Column("key", sa.Text, nullable=False),
    sa.Column("version", sa.Text, nullable=False),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("modified", sa.Float),
    sa.Column("object_id", sa.BigInteger),
    sa.Column("known_version", sa.Text, nullable=False),
    sa.Column("known_state", sa.Text, nullable=False),
    sqlite_with_rowid=False,
)

jobs = sa.Table(
    "jobs",
    metadata,
    sa.Column("target", sa.Text, primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("directory_id", sa.BigInteger),
    sa.Column("job_id", sa.BigInteger),
    sa.Column("launched", sa.Boolean, nullable=False),
)

tasks = sa.Table(
    "tasks",
    metadata,
    sa.Column("target", sa.Text, primary_key=True),
    sa.Column("task_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("job_id", sa.BigInteger, nullable=False),
    sa.Column("file_id", sa.BigInteger, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("completed_at", sa.Text, nullable=False),
    sa.Index(None, "target", "file_id"),
)

pushes = sa.Table(
    "pushes",
    metadata,
    sa.Column("target", sa.Text, primary_key=True),
    sa.Column("file_name", sa.Text, primary_key=True),
    sa.Column("brain", sa.Text, primary_key=True),
    sa.Column("file_id", sa.BigInteger),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("boxes", sa.Text, nullable=False),  # JSON: a list is a box, an object something else
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("updated_at", sa.Float, nullable=False),
    sa.Column("input_id", sa.BigInteger),  # the import that carried it; a later push of the same boxes has another
    sa.Index(None, "target", "brain", "state"),
)

labels = sa.Table(
    "labels",
    metadata,
    sa.Column("target", sa.Text, primary_key=True),
    sa.Column("position", sa.Integer, primary_key=True),
    sa.Column("label_file_id", sa.BigInteger, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.UniqueConstraint("target", "label_file_id"),
)

snapshots = sa.Table(
    "snapshots",
    metadata,
    sa.Column("target", sa.Text, primary_key=True),
    sa.Column("snapshot_id", sa.Text, primary_key=True),
    sa.Column("folder", sa.Text, nullable=False),
    sa.Column("export_id", sa.BigInteger, nullable=False),
    sa.Column("images", sa.Integer, nullable=False),
    sa.Column("boxes", sa.Integer, nullable=False),
    sa.Column("finished", sa.Integer, nullable=False),
    sa.Column("label_map_digest", sa.Text, nullable=False),
    sa.Column("created_at", sa.Float, nullable=False),
)

trainings = sa.Table(
    "trainings",
    metadata,
    sa.Column("target", sa.Text, primary_key=True),
    sa.Column("brain", sa.Text, primary_key=True),
    sa.Column("snapshot_id", sa.Text, nullable=False),
    sa.Column("promoted", sa.Boolean),
    sa.Column("map", sa.Float),
    sa.Column("map50", sa.Float),
    sa.Column("verdict", sa.Text, nullable=False),
    sa.Column("created_at", sa.Float, nullable=False),
)

promotions = sa.Table(
    "promotions",
    metadata,
    sa.Column("target", sa.Text, primary_key=True),
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("brain", sa.Text, nullable=False),
    sa.Column("action", sa.Text, nullable=False),
    sa.Column("from_version", sa.BigInteger),
    sa.Column("to_version", sa.BigInteger, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("number", sa.BigInteger),
    sa.Column("training", sa.Text, nullable=False),
    sa.Column("created_at", sa.Float, nullable=False),
    sa.Column("updated_at", sa.Float, nullable=False),
    sa.Index(None, "target", "brain"),
)

locks = sa.Table(
    "locks",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("holder", sa.Text, nullable=False),
    sa.Column("expires_at", sa.Float, nullable=False),
)

paces = sa.Table(
    "paces",
    metadata,
    sa.Column("server", sa.Text, primary_key=True),
    sa.Column("endpoint", sa.Text, primary_key=True),
    sa.Column("next_at", sa.Float, nullable=False),
    sa.Column("blocked_until", sa.Float, nullable=False, server_default="0"),
)

budgets = sa.Table(
    "budgets",
    metadata,
    sa.Column("server", sa.Text, primary_key=True),
    sa.Column("endpoint", sa.Text, primary_key=True),
    sa.Column("day", sa.Text, primary_key=True),
    sa.Column("used", sa.Integer, nullable=False),
)
