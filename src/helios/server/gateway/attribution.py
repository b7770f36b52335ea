"""Whose work a request is: said by headers, else by what the client sends anyway."""

import re
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from helios.domain.budget.account import DEEPEST, problem_with_account
from helios.domain.gateway.key import GatewayKey, Policy
from helios.server.gateway.incoming import Incoming

LONGEST = 200
LONGEST_HOLD_S = 24 * 3600.0
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Attribution:
    """Names that are not known are empty; `hold_s` None means that the client does not say."""

    account: str
    project: str
    task: str
    agent: str
    priority: int
    hold_s: float | None
    policy: Policy


def attribute(incoming: Incoming, key: GatewayKey, user_id: str) -> Attribution | str:
    """Whose work it is, or what is wrong with a header.

    A project is an account below that of the key, so that no header leads out of a key's budget;
    nor does one make a key's policy milder.
    """
    project = _text(incoming, b"x-helios-project")
    account = "/".join(part for part in (key.account, project) if part)
    if problem := problem_with_account(account):
        return f"x-helios-project: {problem} (names divided by '/', at most {DEEPEST} levels)"
    priority = incoming.header(b"x-helios-priority") or "5"
    if not re.fullmatch(r"[1-9]|10", priority):
        return "x-helios-priority: must be a whole number from 1 to 10"
    hold = incoming.header(b"x-helios-hold")
    if hold and not re.fullmatch(r"\d{1,6}(\.\d{1,3})?", hold):
        return "x-helios-hold: must be a number of seconds, such as 600"
    policy = incoming.header(b"x-helios-policy") or Policy.OFF
    if policy not in set(Policy):
        return f"x-helios-policy: must be one of {', '.join(Policy)}"
    session = _text(incoming, b"x-claude-code-session-id") or _printable(user_id)
    return Attribution(
        account=account,
        project=account,
        task=_text(incoming, b"x-helios-task") or session,
        agent=_text(incoming, b"x-claude-code-agent-id") or key.name,
        priority=int(priority),
        hold_s=min(float(hold), LONGEST_HOLD_S) if hold else None,
        policy=key.policy.at_least(Policy(policy)),
    )


def _text(incoming: Incoming, name: bytes) -> str:
    """A header's text, in UTF-8 or percent-encoded, because many clients send only ASCII."""
    raw = incoming.header(name).encode("latin-1")
    return _printable(unquote_to_bytes(raw).decode("utf-8", "replace")) if raw else ""


def _printable(text: str) -> str:
    return _UNPRINTABLE.sub(" ", text[:LONGEST]).strip()
