"""The books of the budget and the record of runs.

Revision ID: 0001
Revises:
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

Key = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
Counter = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    _create_ledger()
    _create_runs()
    _create_history()


def downgrade() -> None:
    for table in (
        "run_events",
        "calls",
        "attempts",
        "tasks",
        "runs",
        "ledger_events",
        "ledger_lines",
        "ledger_entries",
        "ledger_balances",
        "ledger_windows",
        "ledger_clock",
    ):
        op.drop_table(table)


def _create_ledger() -> None:
    clock = op.create_table(
        "ledger_clock",
        sa.Column("id", sa.Integer, autoincrement=False),
        sa.Column("latest", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_ledger_clock"),
        sa.CheckConstraint("id = 1", name="ck_ledger_clock_one_row"),
    )
    op.bulk_insert(clock, [{"id": 1, "latest": 0.0}])
    op.create_table(
        "ledger_windows",
        sa.Column("window_key", Key, nullable=False),
        sa.Column("opened_at", sa.Double, nullable=False),
        sa.Column("closes_at", sa.Double),
        sa.PrimaryKeyConstraint("window_key", "opened_at", name="pk_ledger_windows"),
    )
    op.create_table(
        "ledger_balances",
        sa.Column("limit_key", Key, nullable=False),
        sa.Column("opened_at", sa.Double, nullable=False),
        sa.Column("window_key", Key, nullable=False),
        sa.Column("label", sa.Text, nullable=False),
        sa.Column("unit", sa.Text, nullable=False),
        sa.Column("cap", sa.BigInteger, nullable=False),
        sa.Column("spent", sa.BigInteger, nullable=False),
        sa.Column("held", sa.BigInteger, nullable=False),
        sa.Column("breach", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("limit_key", "opened_at", name="pk_ledger_balances"),
        sa.ForeignKeyConstraint(
            ["window_key", "opened_at"],
            ["ledger_windows.window_key", "ledger_windows.opened_at"],
            name="fk_ledger_balances_window_key_opened_at",
        ),
        sa.CheckConstraint("spent >= 0 AND held >= 0", name="ck_ledger_balances_not_negative"),
        sa.CheckConstraint("spent + held <= cap + breach", name="ck_ledger_balances_within_cap"),
    )
    op.create_table(
        "ledger_entries",
        sa.Column("request_id", Key, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("fence", sa.BigInteger, nullable=False),
        sa.Column("lease_until", sa.Double, nullable=False),
        sa.Column("tier", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("request_id", name="pk_ledger_entries"),
    )
    is_open = sa.text("state IN ('held', 'sent')")
    op.create_index(
        "ix_ledger_entries_open",
        "ledger_entries",
        ["lease_until"],
        sqlite_where=is_open,
        postgresql_where=is_open,
    )
    op.create_table(
        "ledger_lines",
        sa.Column("request_id", Key, nullable=False),
        sa.Column("limit_key", Key, nullable=False),
        sa.Column("opened_at", sa.Double, nullable=False),
        sa.Column("closes_at", sa.Double),
        sa.Column("estimate", sa.BigInteger, nullable=False),
        sa.Column("charged", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("request_id", "limit_key", name="pk_ledger_lines"),
        sa.ForeignKeyConstraint(
            ["request_id"], ["ledger_entries.request_id"], name="fk_ledger_lines_request_id"
        ),
        sa.ForeignKeyConstraint(
            ["limit_key", "opened_at"],
            ["ledger_balances.limit_key", "ledger_balances.opened_at"],
            name="fk_ledger_lines_limit_key_opened_at",
        ),
    )
    op.create_table(
        "ledger_events",
        sa.Column("seq", Counter, nullable=False),
        sa.Column("request_id", Key, nullable=False),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("command", sa.Text, nullable=False),
        sa.Column("from_state", sa.Text, nullable=False),
        sa.Column("to_state", sa.Text, nullable=False),
        sa.Column("fence", sa.BigInteger, nullable=False),
        sa.Column("deltas", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_ledger_events"),
    )


def _create_runs() -> None:
    op.create_table(
        "runs",
        sa.Column("seq", Counter, nullable=False),
        sa.Column("id", Key, nullable=False),
        sa.Column("project", Key, nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("path", sa.Text, nullable=False),
        sa.Column("spec", sa.Text, nullable=False),
        sa.Column("spec_digest", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("provider", sa.Text, nullable=False),
        sa.Column("simulated", sa.Boolean, nullable=False),
        sa.Column("sandbox", sa.Text, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("finished_at", sa.Double),
        sa.PrimaryKeyConstraint("seq", name="pk_runs"),
        sa.UniqueConstraint("id", name="uq_runs_id"),
        sa.UniqueConstraint("project", "number", name="uq_runs_project_number"),
    )
    op.create_table(
        "tasks",
        sa.Column("run", Key, nullable=False),
        sa.Column("id", Key, nullable=False),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("attempts", sa.BigInteger, nullable=False),
        sa.Column("commit_id", sa.Text),
        sa.Column("ready_at", sa.Double),
        sa.Column("started_at", sa.Double),
        sa.Column("finished_at", sa.Double),
        sa.Column("not_before", sa.Double),
        sa.Column("output", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("run", "id", name="pk_tasks"),
        sa.ForeignKeyConstraint(["run"], ["runs.id"], name="fk_tasks_run"),
    )


def _create_history() -> None:
    op.create_table(
        "attempts",
        sa.Column("seq", Counter, nullable=False),
        sa.Column("run", Key, nullable=False),
        sa.Column("task", Key, nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("model", sa.Text),
        sa.Column("choice", sa.JSON, nullable=False),
        sa.Column("failure", sa.Text),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("started_at", sa.Double, nullable=False),
        sa.Column("finished_at", sa.Double),
        sa.PrimaryKeyConstraint("seq", name="pk_attempts"),
        sa.ForeignKeyConstraint(
            ["run", "task"], ["tasks.run", "tasks.id"], name="fk_attempts_run_task"
        ),
        sa.UniqueConstraint("run", "task", "number", name="uq_attempts_run_task_number"),
    )
    op.create_table(
        "calls",
        sa.Column("seq", Counter, nullable=False),
        sa.Column("request", Key, nullable=False),
        sa.Column("run", Key, nullable=False),
        sa.Column("task", Key, nullable=False),
        sa.Column("attempt", sa.BigInteger, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("tier", sa.Text, nullable=False),
        sa.Column("provider", sa.Text, nullable=False),
        sa.Column("simulated", sa.Boolean, nullable=False),
        sa.Column("input_tokens", sa.BigInteger, nullable=False),
        sa.Column("output_tokens", sa.BigInteger, nullable=False),
        sa.Column("cache_write_tokens", sa.BigInteger, nullable=False),
        sa.Column("cache_read_tokens", sa.BigInteger, nullable=False),
        sa.Column("cost_microusd", sa.BigInteger, nullable=False),
        sa.Column("started_at", sa.Double, nullable=False),
        sa.Column("finished_at", sa.Double, nullable=False),
        sa.Column("reply", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_calls"),
        sa.ForeignKeyConstraint(
            ["run", "task"], ["tasks.run", "tasks.id"], name="fk_calls_run_task"
        ),
        sa.UniqueConstraint("request", name="uq_calls_request"),
    )
    op.create_index("ix_calls_run_seq", "calls", ["run", "seq"])
    op.create_table(
        "run_events",
        sa.Column("seq", Counter, nullable=False),
        sa.Column("run", Key, nullable=False),
        sa.Column("task", sa.Text),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("data", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_run_events"),
        sa.ForeignKeyConstraint(["run"], ["runs.id"], name="fk_run_events_run"),
    )
    op.create_index("ix_run_events_run_seq", "run_events", ["run", "seq"])
