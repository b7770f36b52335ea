"""What helps a request that was refused, by the name of what refused it."""

from helios.domain.budget.ledger import BRAKE, Admission
from helios.domain.budget.units import Unit

_OF_RUN = {
    str(Unit.MESSAGES): "messages",
    str(Unit.MICROUSD): "cost_usd",
    f"strong-{Unit.MESSAGES}": "strong_share",
    f"strong-{Unit.MICROUSD}": "strong_share",
}


def cure(answer: Admission) -> str:
    """What to do, as a sentence."""
    if answer.binding == BRAKE:
        return "`helios budget throttle off` takes the brake off."
    if answer.hopeless:
        return cure_of(answer.binding)
    if answer.waits:
        return "It goes on when those who hold what is missing have settled."
    return "It goes on when the window resets."


def cure_of(key: str) -> str:
    """How to raise the limit of this key: where it was set."""
    whose, _, rest = key.removeprefix("simulated/").partition("/")
    path, _, name = rest.rpartition("/")
    if whose == "run":
        _, of_task, task = path.partition("/task/")
        where = f"`messages:` of task {task}" if of_task else f"`{_OF_RUN[name]}` under `budget:`"
        return f"Raise {where} in helios.yaml and resume."
    if whose == "everybody":
        return f"`helios budget set {path} AMOUNT` raises it."
    if whose == "account":
        account, _, rule = path.rpartition("/")
        return f"`helios budget set {rule} AMOUNT --account {account}` raises it."
    return "The plan's window is too small for it: ask a cheaper model, or for less at once."
