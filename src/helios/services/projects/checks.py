"""What no single value shows: the carrier of each task, known agents, tiers and the repository."""

from collections.abc import Collection

from helios.domain.pricing import Tier
from helios.services.projects.file_model import BudgetFile, ProjectFile
from helios.services.projects.findings import Findings, quoted
from helios.services.projects.strict_yaml import Entry, Mapping, Scalar

CARRIERS = ("agent", "run", "action")

_REPO_KINDS = ("path", "snapshot")


def check_file(
    root: Mapping,
    file: ProjectFile,
    known_agents: Collection[str],
    priced: Collection[str] | None,
    findings: Findings,
) -> None:
    """Note what is wrong between the values of the file; without `priced`, no price is missed."""
    models = _entries(root.entries.get("models"))
    names = {entry.value.text for entry in models.values() if isinstance(entry.value, Scalar)}
    for entry in models.values():
        _check_price(entry, priced, findings)
    _check_model(_entries(root.entries.get("defaults")).get("model"), names, priced, findings)
    _check_repo(root.entries.get("repo"), findings)
    _check_share(_entries(root.entries.get("budget")).get("strong_share"), file.budget, findings)
    for entry in _entries(root.entries.get("tasks")).values():
        if isinstance(entry.value, Mapping):
            _check_carrier(entry, entry.value, findings)
            _check_agent(entry.value.entries.get("agent"), known_agents, findings)
            _check_model(entry.value.entries.get("model"), names, priced, findings)


def _entries(entry: Entry | None) -> dict[str, Entry]:
    return entry.value.entries if entry and isinstance(entry.value, Mapping) else {}


def _check_carrier(entry: Entry, task: Mapping, findings: Findings) -> None:
    given = [key for key in task.entries if key in CARRIERS]
    name = quoted(entry.key.text)
    if not given:
        hint = "Give it exactly one of the three."
        findings.add(entry.key, f"task {name} has no agent, run or action", hint)
    elif len(given) > 1:
        message = f"task {name} has {' and '.join(given)}: only one can do it"
        findings.add(task.entries[given[1]].key, message, "Remove one, or make two tasks.")
    if "agent" in given and "prompt" not in task.entries:
        hint = "Say in `prompt` what the agent is to do."
        findings.add(entry.key, f"task {name} has an agent but no prompt", hint)


def _check_agent(entry: Entry | None, known: Collection[str], findings: Findings) -> None:
    agent = _text(entry)
    if entry is None or not agent or agent in known:
        return
    hint = findings.suggest(agent, known) or f"Known agents: {', '.join(sorted(known))}."
    findings.add(entry.spot, f"unknown agent {quoted(agent)}", hint)


def _check_model(
    entry: Entry | None,
    names: Collection[str],
    priced: Collection[str] | None,
    findings: Findings,
) -> None:
    """A single word that looks like a tier is a tier mistyped; names of models have digits."""
    model = _text(entry)
    tiers = [tier.value for tier in Tier]
    if entry is None or model in names or model in tiers:
        return
    if model.isalpha() and (hint := findings.suggest(model, tiers)):
        findings.add(entry.spot, f"unknown tier {quoted(model)}", hint)
    else:
        _check_price(entry, priced, findings)


def _check_price(entry: Entry, priced: Collection[str] | None, findings: Findings) -> None:
    model = _text(entry)
    if priced is None or not model or model in priced:
        return
    hint = findings.suggest(model, priced)
    hint += " " if hint else ""
    hint += "The file that the setting `prices` names may give it a price."
    findings.add(entry.spot, f"no price is known for the model {quoted(model)}", hint)


def _check_share(entry: Entry | None, budget: BudgetFile, findings: Findings) -> None:
    said = budget.model_fields_set
    if entry is not None and "strong_share" in said and not said & {"messages", "cost_usd"}:
        hint = "Say beside it how many `messages` or how much `cost_usd` a run may take."
        findings.add(entry.key, '"strong_share" is a share of nothing', hint)


def _check_repo(entry: Entry | None, findings: Findings) -> None:
    if entry is None or not isinstance(entry.value, Mapping):
        return
    given = [key for key in entry.value.entries if key in _REPO_KINDS]
    if len(given) != 1:
        got = "both" if given else "neither"
        hint = "`path` is a checkout to work in, `snapshot` a folder to copy."
        findings.add(entry.key, f"`repo` takes exactly one of path and snapshot, got {got}", hint)


def _text(entry: Entry | None) -> str:
    """The text of an entry, or nothing when it has none."""
    if entry is None or not isinstance(entry.value, Scalar):
        return ""
    return entry.value.value.strip() if isinstance(entry.value.value, str) else ""
