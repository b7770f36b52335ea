"""Settings: read once at start, typed, frozen. The only reader of the environment.

Precedence, highest first: flag, environment `HELIOS_*`, project file, user file, default. The
project file says nothing about settings yet, only about its own tasks and budget.
"""

import json
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from math import isfinite
from pathlib import Path
from typing import Any
from urllib.parse import quote

from platformdirs import user_config_path, user_data_path

from helios.errors import UsageError

SECRETS = frozenset({"api_key", "openai_api_key", "google_api_key", "redis"})
GATEWAY_KEY = "hel_"
"""What the gateway's own keys begin with; no provider takes them."""
ENVIRONMENT_ALIASES: Mapping[str, str] = {
    "ANTHROPIC_API_KEY": "api_key",
    "ANTHROPIC_BASE_URL": "base_url",
    "OPENAI_API_KEY": "openai_api_key",
    "OPENAI_BASE_URL": "openai_base_url",
    "GOOGLE_API_KEY": "google_api_key",
    "OLLAMA_BASE_URL": "ollama_base_url",
    "NO_COLOR": "no_color",
}


EXAMPLES: Mapping[str, str] = {
    "plan_messages": "Such as 900.",
    "simulator_speed": "Such as 1, or 0 for answers at once.",
    "gateway_hold": "Seconds, such as 60.",
    "human_reserve": "Such as 0.2, which is 20%.",
}
"""What a number may be, where one is expected."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that can be set outside a project.

    home: where databases, work trees, reports and logs live.
    database: URL of the ledger and the record of runs; empty means SQLite under `home`.
    plan: the named plan whose windows bound all work.
    plan_messages: the plan's messages per window, where it differs from the preset's; 0 keeps it.
    plan_only: never spill into paid overage, where the provider says that it has begun.
    human_reserve: the share of each of the plan's windows that agents leave alone, 0 to 1.
    sandbox: strict | direct | auto.
    provider: where models go whose name has no vendor: anthropic | simulator | openai | google |
        ollama | claude-code | a plug-in's name; empty means Anthropic with a key, else simulator.
    api_key, base_url: the Anthropic key and endpoint.
    openai_api_key, openai_base_url: of OpenAI, or of whatever speaks its Chat Completions.
    google_api_key: the key of the Gemini API.
    ollama_base_url: where Ollama listens; empty means on this machine.
    claude_binary: the user's own Claude Code, a name on the path or a file.
    redis: URL of a Redis that mirrors the budget's status; empty means none.
    redis_ca: a file with the authority that signed its certificate, for rediss:// URLs.
    prices: a price file laid over the packaged one.
    simulator_speed: the simulator's delays are multiplied by this; 0 answers at once.
    simulator_url: a simulator that listens already, for the gateway; empty starts one.
    gateway_hold: so many seconds the gateway keeps a client waiting for room that does not say.
    gateway_lower_output: whether the gateway may ask for less output when room is short.
    log_level: debug | info | warning | error.
    no_color: any text switches colour off.
    """

    home: Path
    database: str = ""
    plan: str = "max-classic"
    plan_messages: int = 0
    human_reserve: float = 0.0
    plan_only: bool = True
    sandbox: str = "auto"
    provider: str = ""
    api_key: str = ""
    base_url: str = ""
    openai_api_key: str = ""
    openai_base_url: str = ""
    google_api_key: str = ""
    ollama_base_url: str = ""
    claude_binary: str = "claude"
    prices: str = ""
    redis: str = ""
    redis_ca: str = ""
    simulator_speed: float = 1.0
    simulator_url: str = ""
    gateway_hold: float = 60.0
    gateway_lower_output: bool = True
    log_level: str = "info"
    no_color: str = ""
    sources: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def database_url(self) -> str:
        """The database of the ledger and of the runs."""
        return self.database or sqlite_url(self.home / "helios.db")

    def shown(self) -> dict[str, str]:
        """Every setting as text, secrets masked."""
        shown = {}
        for name in setting_names():
            value = getattr(self, name)
            shown[name] = "(set)" if name in SECRETS and value else str(value)
        return shown


def sqlite_url(file: Path) -> str:
    """The address of a database in a file, whose name may hold what means something in a URL."""
    return f"sqlite:///{quote(str(file), safe='/ ')}"


def setting_names() -> tuple[str, ...]:
    """The names a user can set."""
    return tuple(f.name for f in fields(Settings) if f.name != "sources")


def load_settings(
    flags: Mapping[str, Any] | None = None, environment: Mapping[str, str] | None = None
) -> Settings:
    """Merge all sources.

    Args:
        flags: what the command line said; None values are not said.
        environment: instead of the process's own, for tests.

    Raises:
        UsageError: an unknown key or a value of the wrong kind, with its source.
    """
    env = dict(os.environ) if environment is None else dict(environment)
    user_file = _user_file(env)
    values: dict[str, Any] = {"home": user_data_path("helios")}
    sources = dict.fromkeys(setting_names(), "default")
    layers = (
        (str(user_file), _from_user_file(user_file)),
        ("environment", _from_environment(env)),
        ("flag", {k: v for k, v in (flags or {}).items() if v is not None}),
    )
    for source, layer in layers:
        for name, value in layer.items():
            values[name] = _typed(name, value, source)
            sources[name] = source
    return Settings(**values, sources=sources)


def make_folder(folder: Path) -> Path:
    """Make a folder of Helios's own, if it is missing.

    Raises:
        UsageError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"{folder} cannot be made: {error.strerror}",
            next_step="Name a folder that you may write to: HELIOS_HOME or --home.",
        ) from error
    return folder


def save_setting(
    name: str, value: float | str, environment: Mapping[str, str] | None = None
) -> Path:
    """Write one setting to the user's file, the rest as it was; the file.

    Raises:
        UsageError: the value does not fit, or the file cannot be written.
    """
    env = dict(os.environ) if environment is None else dict(environment)
    path = _user_file(env)
    written = json.dumps(_typed(name, value, "user file"), ensure_ascii=False)
    kept = [line for line in _lines_of(path) if not re.match(rf"\s*{name}\s*=", line)]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_suffix(".new")
        fresh.write_text("\n".join([*kept, f"{name} = {written}", ""]), encoding="utf-8")
        fresh.replace(path)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}", next_step="Make it writable.") from error
    return path


def _user_file(env: Mapping[str, str]) -> Path:
    return Path(env.get("HELIOS_CONFIG") or user_config_path("helios") / "config.toml")


def _lines_of(path: Path) -> list[str]:
    """The lines of a settings file that can be read, so that nothing unreadable is overwritten."""
    _from_user_file(path)
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def _from_user_file(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except FileNotFoundError:
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise UsageError(f"{path}: {error}", next_step="Mend or remove this file.") from error


def _from_environment(env: Mapping[str, str]) -> dict[str, str]:
    found = {name: env[key] for key, name in ENVIRONMENT_ALIASES.items() if env.get(key)}
    if found.get("api_key", "").startswith(GATEWAY_KEY):
        # Meant for clients of the gateway, which are started in the same shell.
        found = {
            name: value for name, value in found.items() if name not in ("api_key", "base_url")
        }
    for key, value in env.items():
        if key.startswith("HELIOS_") and key != "HELIOS_CONFIG":
            found[key.removeprefix("HELIOS_").lower()] = value
    return found


def _typed(name: str, value: Any, source: str) -> Any:
    known = setting_names()
    if name not in known:
        close = get_close_matches(name, known, n=1)
        hint = f'Did you mean "{close[0]}"?' if close else f"Known: {', '.join(known)}."
        raise UsageError(f"{source}: unknown setting {name!r}", next_step=hint)
    try:
        match name:
            case "home":
                return Path(value).expanduser().resolve()
            case "plan_messages":
                return int(_at_least_zero(_whole(value)))
            case "simulator_speed" | "gateway_hold":
                return _at_least_zero(_number(value))
            case "plan_only" | "gateway_lower_output":
                return _truth(value)
            case "human_reserve":
                return _share(_number(value))
            case _:
                return str(value)
    except (TypeError, ValueError) as error:
        raise UsageError(
            f"{source}: {name} cannot be {value!r}: {error}",
            next_step=f"{EXAMPLES.get(name, '')} docs/settings.md lists all settings.".strip(),
        ) from error


def _truth(value: object) -> bool:
    words = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
    if str(value).lower() not in words:
        raise ValueError("must be true or false")
    return words[str(value).lower()]


def _number(value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise ValueError("must be a number") from None
    if not isfinite(number):
        raise ValueError("must be a number")
    return number


def _whole(value: Any) -> int:
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        raise ValueError("must be a whole number") from None


def _share(value: float) -> float:
    if not 0 <= value < 1:
        raise ValueError("must be at least 0 and less than 1")
    return value


def _at_least_zero(value: float) -> float:
    if value < 0:
        raise ValueError("must not be negative")
    return value
