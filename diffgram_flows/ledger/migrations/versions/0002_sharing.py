"""Claims, successors, events, positions and plans: what several workers and changing buckets need.

A trigger writes an event for every change of an object's state and counts the changes of a target, in the transaction
that makes them and whoever makes it. PostgreSQL counts by statement, because a counter that moves a million times in
one transaction leaves a million dead rows behind. It knows nothing of the size of such a statement, and must be kept
from comparing every row with every other. New objects are counted by the one place that inserts them: on SQLite
a trigger would double the cost of an insert.

A later migration that rebuilds ``objects`` on SQLite (``batch_alter_table``) must create the trigger again.

Revision ID: 0002
Revises: 0001
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_SQLITE = (
    """
    CREATE TRIGGER objects_moved AFTER UPDATE OF state ON objects WHEN OLD.state <> NEW.state BEGIN
        INSERT INTO events (object_id, at, what, detail) VALUES (NEW.id, NEW.updated_at, NEW.state, NEW.reason);
        INSERT INTO positions (target, position) VALUES (NEW.target, 1)
        ON CONFLICT (target) DO UPDATE SET position = position + 1;
    END
    """,
)

_POSTGRESQL = (
    """
    CREATE FUNCTION ledger_objects_moved() RETURNS trigger LANGUAGE plpgsql SET enable_nestloop = off AS $$
    BEGIN
        WITH moved AS (
            SELECT later.id, later.target, later.updated_at, later.state, later.reason
            FROM after_it AS later JOIN before_it AS earlier ON earlier.id = later.id
            WHERE earlier.state <> later.state
        ), written AS (
            INSERT INTO events (object_id, at, what, detail)
            SELECT id, updated_at, state, reason FROM moved ORDER BY id
        )
        INSERT INTO positions (target, position)
        SELECT target, count(*) FROM moved GROUP BY target ORDER BY target
        ON CONFLICT (target) DO UPDATE SET position = positions.position + excluded.position;
        RETURN NULL;
    END $$
    """,
    """
    CREATE TRIGGER objects_moved AFTER UPDATE ON objects
    REFERENCING OLD TABLE AS before_it NEW TABLE AS after_it FOR EACH STATEMENT
    EXECUTE FUNCTION ledger_objects_moved()
    """,
)


def upgrade() -> None:
    """Add columns and tables, then the trigger."""
    for name, kind in (("created_at", sa.Float()), ("claim_id", sa.BigInteger()), ("successor", sa.BigInteger())):
        op.add_column("objects", sa.Column(name, kind, nullable=True))
    held = sa.text("claim_id IS NOT NULL")
    op.create_index("ix_objects_claim_id", "objects", ["claim_id"], sqlite_where=held, postgresql_where=held)
    op.add_column("paces", sa.Column("blocked_until", sa.Float(), nullable=False, server_default="0"))
    _create_tables()
    op.execute("INSERT INTO positions (target, position) SELECT target, count(*) FROM objects GROUP BY target")
    for statement in _POSTGRESQL if op.get_bind().dialect.name == "postgresql" else _SQLITE:
        op.get_bind().exec_driver_sql(statement)


def _create_tables() -> None:
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "events",
        sa.Column("id", number, autoincrement=True, nullable=False),
        sa.Column("object_id", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_events")),
    )
    op.create_index(op.f("ix_events_object_id"), "events", ["object_id"], unique=False)
    op.create_table(
        "positions",
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("target", name=op.f("pk_positions")),
    )
    op.create_table(
        "claims",
        sa.Column("id", number, autoincrement=True, nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("worker", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_claims")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_claims_target_expires_at"), "claims", ["target", "expires_at"], unique=False)
    op.create_table(
        "plans",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("parameters", sa.Text(), nullable=False),
        sa.Column("counts", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("applied", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_plans")),
    )
    op.create_index(op.f("ix_plans_target_created_at"), "plans", ["target", "created_at"], unique=False)
    op.create_table(
        "plan_rows",
        sa.Column("plan_id", sa.Text(), nullable=False),
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("bucket", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("modified", sa.Float(), nullable=True),
        sa.Column("object_id", sa.BigInteger(), nullable=True),
        sa.Column("known_version", sa.Text(), nullable=False),
        sa.Column("known_state", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("plan_id", "number", name=op.f("pk_plan_rows")),
        sqlite_with_rowid=False,
    )
