"""Keys of the gateway, and the batches that were sent through it.

Revision ID: 0003
Revises: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

Key = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.add_column("spends", sa.Column("asked", Key, nullable=False, server_default=""))
    op.create_table(
        "gateway_keys",
        sa.Column("digest", Key, nullable=False),
        sa.Column("name", Key, nullable=False),
        sa.Column("account", Key, nullable=False),
        sa.Column("models", sa.JSON, nullable=False),
        sa.Column("calls_per_minute", sa.BigInteger, nullable=False),
        sa.Column("policy", sa.Text, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("expires_at", sa.Double),
        sa.Column("revoked_at", sa.Double),
        sa.Column("last_used_at", sa.Double),
        sa.PrimaryKeyConstraint("digest", name="pk_gateway_keys"),
    )
    not_revoked = sa.text("revoked_at IS NULL")
    op.create_index(
        "ix_gateway_keys_name",
        "gateway_keys",
        ["name"],
        unique=True,
        sqlite_where=not_revoked,
        postgresql_where=not_revoked,
    )
    op.create_table(
        "gateway_batches",
        sa.Column("request_id", Key, nullable=False),
        sa.Column("upstream_id", Key, nullable=False),
        sa.Column("account", Key, nullable=False),
        sa.Column("project", Key, nullable=False),
        sa.Column("simulated", sa.Boolean, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("request_id", name="pk_gateway_batches"),
    )


def downgrade() -> None:
    for table in ("gateway_batches", "gateway_keys"):
        op.drop_table(table)
    op.drop_column("spends", "asked")
