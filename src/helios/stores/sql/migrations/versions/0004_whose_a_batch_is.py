"""Batches stay when they have ended, and belong to the account of the key that made them.

Of those that are there the key is not known; they belong to the account they count against.

Revision ID: 0004
Revises: 0003
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

Key = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.add_column("gateway_batches", sa.Column("owner", Key, nullable=False, server_default=""))
    op.add_column("gateway_batches", sa.Column("ended_at", sa.Double))
    op.execute("UPDATE gateway_batches SET owner = account")
    op.create_index("ix_gateway_batches_upstream_id", "gateway_batches", ["upstream_id"])
    not_ended = sa.text("ended_at IS NULL")
    op.create_index(
        "ix_gateway_batches_open",
        "gateway_batches",
        ["created_at"],
        sqlite_where=not_ended,
        postgresql_where=not_ended,
    )


def downgrade() -> None:
    # Every row that stays is an open batch to 0003, which would look after it for ever.
    op.execute("DELETE FROM gateway_batches WHERE ended_at IS NOT NULL")
    for index in ("ix_gateway_batches_open", "ix_gateway_batches_upstream_id"):
        op.drop_index(index, "gateway_batches")
    for column in ("ended_at", "owner"):
        op.drop_column("gateway_batches", column)
