"""Structured logs: one JSON object a line in seven categories, rotating, secrets left out."""

import json
import logging
import logging.handlers
import re
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import Any, Literal, get_args

import structlog

from helios.config import make_folder
from helios.errors import UsageError

Category = Literal["api", "agent", "budget", "task", "cache", "security", "system"]
CATEGORIES: tuple[str, ...] = get_args(Category)
MOST_BYTES = 5 * 1024 * 1024
BACKUPS = 5

_SECRET_KEY = re.compile(r"(api_?key|token|secret|password|authorization)$", re.IGNORECASE)
_SECRET_VALUE = re.compile(r"\b(sk-[A-Za-z0-9_-]{8,}|hel_[A-Za-z0-9_-]{20,})")


def configure_logs(folder: Path, level: str, **facts: Any) -> None:
    """Send every log line of Helios to `folder`/helios.jsonl; nothing goes to the terminal.

    Args:
        folder: made if missing.
        level: debug, info, warning or error.
        facts: what every line says besides, such as `simulated`.

    Raises:
        UsageError: nothing can be written there.
    """

    def add_facts(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> Any:
        return {**facts, **event}

    handler = _open_log(make_folder(folder) / "helios.jsonl")
    handler.setFormatter(logging.Formatter("%(message)s"))
    root = logging.getLogger("helios")
    for old in list(root.handlers):
        root.removeHandler(old)
        old.close()
    root.addHandler(handler)
    root.propagate = False
    root.setLevel(level.upper())
    structlog.configure(
        processors=[
            add_facts,
            structlog.stdlib.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            redact,
            structlog.processors.JSONRenderer(serializer=_to_json),
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )


def _open_log(path: Path) -> logging.Handler:
    try:
        return logging.handlers.RotatingFileHandler(
            path, maxBytes=MOST_BYTES, backupCount=BACKUPS, encoding="utf-8"
        )
    except OSError as error:
        raise UsageError(
            f"{path} cannot be written: {error.strerror}",
            next_step="Make it writable, or name another folder: HELIOS_HOME or --home.",
        ) from error


def redact(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    """Mask what looks like a secret, by its key or by its shape, at any depth."""
    return {key: _masked(key, value) for key, value in event.items()}


def _masked(key: str, value: Any) -> Any:
    if isinstance(value, Mapping):
        return {k: _masked(str(k), v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_masked(key, item) for item in value]
    if isinstance(value, str):
        return "***" if _SECRET_KEY.search(key) and value else _SECRET_VALUE.sub("***", value)
    return value


def _to_json(event: Any, **_: Any) -> str:
    return json.dumps(event, ensure_ascii=False, default=str)
