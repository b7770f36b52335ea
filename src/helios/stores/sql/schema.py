"""The tables, the same for SQLite and PostgreSQL.

Amounts are whole numbers (BIGINT); times are seconds since 1970 in UTC; a window that never closes
has no `closes_at`. Keys compare letter by letter on every database, so that rows are always locked
in the same order.
"""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from helios.stores.sql.encoding import Words

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

Key = Text().with_variant(Text(collation="C"), "postgresql")
Name = Words().with_variant(Words(collation="C"), "postgresql")
"""A key that comes from outside: spending must not be lost for an odd name."""

Counter = BigInteger().with_variant(Integer, "sqlite")
"""Numbers itself: SQLite does so only for INTEGER."""

OPEN = text("state IN ('held', 'sent')")
"""Written out, because a partial index serves only a query that repeats its condition."""

NOT_REVOKED = text("revoked_at IS NULL")
NOT_ENDED = text("ended_at IS NULL")

ledger_clock = Table(
    "ledger_clock",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("latest", Double, nullable=False),
    CheckConstraint("id = 1", name="one_row"),
)

ledger_windows = Table(
    "ledger_windows",
    metadata,
    Column("window_key", Key, primary_key=True),
    Column("opened_at", Double, primary_key=True),
    Column("closes_at", Double),
)

ledger_balances = Table(
    "ledger_balances",
    metadata,
    Column("limit_key", Key, primary_key=True),
    Column("opened_at", Double, primary_key=True),
    Column("window_key", Key, nullable=False),
    Column("label", Text, nullable=False),
    Column("unit", Text, nullable=False),
    Column("cap", BigInteger, nullable=False),
    Column("spent", BigInteger, nullable=False, default=0),
    Column("held", BigInteger, nullable=False, default=0),
    Column("breach", BigInteger, nullable=False, default=0),
    ForeignKeyConstraint(
        ["window_key", "opened_at"], ["ledger_windows.window_key", "ledger_windows.opened_at"]
    ),
    CheckConstraint("spent >= 0 AND held >= 0", name="not_negative"),
    CheckConstraint("spent + held <= cap + breach", name="within_cap"),
)

ledger_entries = Table(
    "ledger_entries",
    metadata,
    Column("request_id", Key, primary_key=True),
    Column("state", Text, nullable=False),
    Column("fence", BigInteger, nullable=False),
    Column("lease_until", Double, nullable=False),
    Column("tier", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Index("ix_ledger_entries_open", "lease_until", sqlite_where=OPEN, postgresql_where=OPEN),
)

ledger_lines = Table(
    "ledger_lines",
    metadata,
    Column("request_id", Key, ForeignKey("ledger_entries.request_id"), primary_key=True),
    Column("limit_key", Key, primary_key=True),
    Column("opened_at", Double, nullable=False),
    Column("closes_at", Double),
    Column("estimate", BigInteger, nullable=False),
    Column("charged", BigInteger, nullable=False),
    ForeignKeyConstraint(
        ["limit_key", "opened_at"], ["ledger_balances.limit_key", "ledger_balances.opened_at"]
    ),
)

ledger_events = Table(
    "ledger_events",
    metadata,
    Column("seq", Counter, primary_key=True),
    Column("request_id", Key, nullable=False),
    Column("at", Double, nullable=False),
    Column("command", Text, nullable=False),
    Column("from_state", Text, nullable=False),
    Column("to_state", Text, nullable=False),
    Column("fence", BigInteger, nullable=False),
    Column("deltas", JSON, nullable=False),
)

runs = Table(
    "runs",
    metadata,
    Column("seq", Counter, primary_key=True),
    Column("id", Key, nullable=False),
    Column("project", Key, nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("name", Words, nullable=False),
    Column("path", Words, nullable=False),
    Column("spec", Words, nullable=False),
    Column("spec_digest", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("reason", Words, nullable=False),
    Column("provider", Text, nullable=False),
    Column("simulated", Boolean, nullable=False),
    Column("sandbox", Text, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("finished_at", Double),
    UniqueConstraint("id"),
    UniqueConstraint("project", "number"),
)

tasks = Table(
    "tasks",
    metadata,
    Column("run", Key, ForeignKey("runs.id"), primary_key=True),
    Column("id", Key, primary_key=True),
    Column("position", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("reason", Words, nullable=False),
    Column("attempts", BigInteger, nullable=False),
    Column("commit_id", Text),
    Column("ready_at", Double),
    Column("started_at", Double),
    Column("finished_at", Double),
    Column("not_before", Double),
    Column("output", Words, nullable=False),
)

attempts = Table(
    "attempts",
    metadata,
    Column("seq", Counter, primary_key=True),
    Column("run", Key, nullable=False),
    Column("task", Key, nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("model", Text),
    Column("choice", JSON, nullable=False),
    Column("failure", Text),
    Column("detail", Words, nullable=False),
    Column("started_at", Double, nullable=False),
    Column("finished_at", Double),
    ForeignKeyConstraint(["run", "task"], ["tasks.run", "tasks.id"]),
    UniqueConstraint("run", "task", "number"),
)

calls = Table(
    "calls",
    metadata,
    Column("seq", Counter, primary_key=True),
    Column("request", Key, nullable=False),
    Column("run", Key, nullable=False),
    Column("task", Key, nullable=False),
    Column("attempt", BigInteger, nullable=False),
    Column("model", Text, nullable=False),
    Column("tier", Text, nullable=False),
    Column("provider", Text, nullable=False),
    Column("simulated", Boolean, nullable=False),
    Column("input_tokens", BigInteger, nullable=False),
    Column("output_tokens", BigInteger, nullable=False),
    Column("cache_write_tokens", BigInteger, nullable=False),
    Column("cache_read_tokens", BigInteger, nullable=False),
    Column("cost_microusd", BigInteger, nullable=False),
    Column("started_at", Double, nullable=False),
    Column("finished_at", Double, nullable=False),
    Column("reply", Text, nullable=False),
    Column("agent", Words, nullable=False, server_default=""),
    Column("account", Words, nullable=False, server_default=""),
    ForeignKeyConstraint(["run", "task"], ["tasks.run", "tasks.id"]),
    UniqueConstraint("request"),
    Index(None, "run", "seq"),
)

run_events = Table(
    "run_events",
    metadata,
    Column("seq", Counter, primary_key=True),
    Column("run", Key, ForeignKey("runs.id"), nullable=False),
    Column("task", Text),
    Column("kind", Text, nullable=False),
    Column("at", Double, nullable=False),
    Column("data", JSON, nullable=False),
    Index(None, "run", "seq"),
)

budget_limits = Table(
    "budget_limits",
    metadata,
    Column("account", Key, primary_key=True),
    Column("name", Key, primary_key=True),
    Column("unit", Text, nullable=False),
    Column("cap", BigInteger, nullable=False),
    Column("window_rule", JSON, nullable=False),
    Column("strong_only", Boolean, nullable=False),
    Column("zoned", Boolean, nullable=False),
    Column("thresholds", JSON, nullable=False),
)

budget_throttle = Table(
    "budget_throttle",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("level", Text, nullable=False),
    Column("set_at", Double, nullable=False),
    Column("until", Double),
    Column("reason", Words, nullable=False),
    Column("set_by", Words, nullable=False),
    CheckConstraint("id = 1", name="one_row"),
)

budget_signals = Table(
    "budget_signals",
    metadata,
    Column("window_name", Name, primary_key=True),
    Column("at", Double, primary_key=True),
    Column("source", Text, primary_key=True),
    Column("used", Double, nullable=False),
    Column("resets_at", Double),
    Column("status", Words, nullable=False),
    Column("overage", Boolean, nullable=False),
)

spends = Table(
    "spends",
    metadata,
    Column("seq", Counter, primary_key=True),
    Column("request_id", Name, nullable=False),
    Column("at", Double, nullable=False),
    Column("model", Name, nullable=False),
    Column("tier", Name, nullable=False),
    Column("input_tokens", BigInteger, nullable=False),
    Column("output_tokens", BigInteger, nullable=False),
    Column("cache_write_tokens", BigInteger, nullable=False),
    Column("cache_read_tokens", BigInteger, nullable=False),
    Column("cost_microusd", BigInteger, nullable=False),
    Column("simulated", Boolean, nullable=False),
    Column("source", Text, nullable=False),
    Column("messages", BigInteger, nullable=False),
    Column("account", Name, nullable=False),
    Column("project", Name, nullable=False),
    Column("task", Name, nullable=False),
    Column("agent", Name, nullable=False),
    Column("asked", Name, nullable=False, server_default=""),
    Column("message_id", Name, nullable=False, server_default=""),
    UniqueConstraint("request_id"),
    Index(None, "simulated", "at"),
    Index(None, "agent", "model", "simulated", "at"),
)

gateway_keys = Table(
    "gateway_keys",
    metadata,
    Column("digest", Key, primary_key=True),
    Column("name", Key, nullable=False),
    Column("account", Key, nullable=False),
    Column("models", JSON, nullable=False),
    Column("calls_per_minute", BigInteger, nullable=False),
    Column("policy", Text, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("expires_at", Double),
    Column("revoked_at", Double),
    Column("last_used_at", Double),
    Index(
        "ix_gateway_keys_name",
        "name",
        unique=True,
        sqlite_where=NOT_REVOKED,
        postgresql_where=NOT_REVOKED,
    ),
)

gateway_batches = Table(
    "gateway_batches",
    metadata,
    Column("request_id", Name, primary_key=True),
    Column("upstream_id", Name, nullable=False),
    Column("account", Name, nullable=False),
    Column("project", Name, nullable=False),
    Column("simulated", Boolean, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("owner", Name, nullable=False, server_default=""),
    Column("ended_at", Double),
    Index(None, "upstream_id"),
    Index(
        "ix_gateway_batches_open",
        "created_at",
        sqlite_where=NOT_ENDED,
        postgresql_where=NOT_ENDED,
    ),
)
