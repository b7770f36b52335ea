"""Limits people set, the brake, the provider's figures, and what every request spent.

Calls that were kept before get their spending; whose they were is not known any more.

Revision ID: 0002
Revises: 0001
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

Key = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
Counter = sa.BigInteger().with_variant(sa.Integer, "sqlite")

NAMES_OF_CALLS = ("agent", "account")

SPENDS_OF_CALLS = """
    INSERT INTO spends (
        request_id, at, model, tier, input_tokens, output_tokens, cache_write_tokens,
        cache_read_tokens, cost_microusd, simulated, source, messages, account, project, task, agent
    )
    SELECT
        calls.request, calls.finished_at, calls.model, calls.tier, calls.input_tokens,
        calls.output_tokens, calls.cache_write_tokens, calls.cache_read_tokens,
        calls.cost_microusd, calls.simulated, 'run', 1, '', runs.project, calls.task, ''
    FROM calls JOIN runs ON runs.id = calls.run
    ORDER BY calls.seq
"""


def upgrade() -> None:
    for name in NAMES_OF_CALLS:
        op.add_column("calls", sa.Column(name, sa.Text, nullable=False, server_default=""))
    _create_book()
    _create_spends()
    op.execute(SPENDS_OF_CALLS)


def downgrade() -> None:
    for table in ("spends", "budget_signals", "budget_throttle", "budget_limits"):
        op.drop_table(table)
    for name in NAMES_OF_CALLS:
        op.drop_column("calls", name)


def _create_book() -> None:
    op.create_table(
        "budget_limits",
        sa.Column("account", Key, nullable=False),
        sa.Column("name", Key, nullable=False),
        sa.Column("unit", sa.Text, nullable=False),
        sa.Column("cap", sa.BigInteger, nullable=False),
        sa.Column("window_rule", sa.JSON, nullable=False),
        sa.Column("strong_only", sa.Boolean, nullable=False),
        sa.Column("zoned", sa.Boolean, nullable=False),
        sa.Column("thresholds", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("account", "name", name="pk_budget_limits"),
    )
    op.create_table(
        "budget_throttle",
        sa.Column("id", sa.Integer, autoincrement=False),
        sa.Column("level", sa.Text, nullable=False),
        sa.Column("set_at", sa.Double, nullable=False),
        sa.Column("until", sa.Double),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("set_by", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_budget_throttle"),
        sa.CheckConstraint("id = 1", name="ck_budget_throttle_one_row"),
    )
    op.create_table(
        "budget_signals",
        sa.Column("window_name", Key, nullable=False),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("used", sa.Double, nullable=False),
        sa.Column("resets_at", sa.Double),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("overage", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("window_name", "at", "source", name="pk_budget_signals"),
    )


def _create_spends() -> None:
    op.create_table(
        "spends",
        sa.Column("seq", Counter, nullable=False),
        sa.Column("request_id", Key, nullable=False),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("model", Key, nullable=False),
        sa.Column("tier", Key, nullable=False),
        sa.Column("input_tokens", sa.BigInteger, nullable=False),
        sa.Column("output_tokens", sa.BigInteger, nullable=False),
        sa.Column("cache_write_tokens", sa.BigInteger, nullable=False),
        sa.Column("cache_read_tokens", sa.BigInteger, nullable=False),
        sa.Column("cost_microusd", sa.BigInteger, nullable=False),
        sa.Column("simulated", sa.Boolean, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("messages", sa.BigInteger, nullable=False),
        sa.Column("account", Key, nullable=False),
        sa.Column("project", Key, nullable=False),
        sa.Column("task", Key, nullable=False),
        sa.Column("agent", Key, nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_spends"),
        sa.UniqueConstraint("request_id", name="uq_spends_request_id"),
    )
    op.create_index("ix_spends_simulated_at", "spends", ["simulated", "at"])
    op.create_index(
        "ix_spends_agent_model_simulated_at", "spends", ["agent", "model", "simulated", "at"]
    )
