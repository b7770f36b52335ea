"""The provider's name for an answer stays in the books, to know it again elsewhere.

Revision ID: 0005
Revises: 0004
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

Key = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.add_column("spends", sa.Column("message_id", Key, nullable=False, server_default=""))


def downgrade() -> None:
    op.drop_column("spends", "message_id")
