"""Every error Helios raises on purpose.

    HeliosError
    ├── UsageError              the command line or a setting is wrong              exit 2
    ├── ProjectFileError        helios.yaml has problems, all of them listed        exit 3
    ├── BudgetError
    │   ├── BudgetExhausted     a limit has no room; says when it will have         exit 4
    │   ├── UnknownPrice        a model without a price is never free               exit 2
    │   └── ReservationLost     the lease or the fence is no longer ours            exit 1
    ├── ModelError              a model call failed; `billed` says what is certain  exit 1
    │   ├── RateLimited, Overloaded, ModelTimeout, ConnectionLost
    │   ├── RequestRefused      the provider says the request itself is wrong
    │   └── BadOutput           the answer is not what the role must return
    ├── PatchRejected           an edit does not fit the files                      exit 1
    ├── WorkspaceError          Git refused                                         exit 1
    ├── SandboxUnavailable      no containment, and none was waived                 exit 2
    ├── StoreError              the database is gone, full or from another version  exit 6
    └── ConflictError           somebody else holds it, or the state forbids it     exit 7

    HeliosSignal (BaseException)   not an error: code that catches Exception must not swallow it
    └── RunStopping                the run was asked to stop

Every error carries a stable `code` for programs, a sentence for people and the next step.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

Billed = Literal["no", "unknown"]


class HeliosError(Exception):
    """The root: a message that says what happened and a step that helps."""

    code: ClassVar[str] = "error"
    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, next_step: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.next_step = next_step

    @property
    def in_full(self) -> str:
        """What happened and what helps, as sentences in one line."""
        if not self.next_step:
            return self.message
        stop = "" if self.message.endswith((".", "?", "!")) else "."
        return f"{self.message}{stop} {self.next_step}"


class UsageError(HeliosError):
    """The command line, a setting or an argument is wrong."""

    code = "usage"
    exit_code = 2


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong in a project file, at a place a person can find.

    `line` and `column` count from 1; 0 means the problem belongs to the file as a whole.
    """

    file: str
    line: int
    column: int
    message: str
    hint: str = ""
    source_line: str = ""
    width: int = 1

    @property
    def place(self) -> str:
        """file:line:column, as editors understand it."""
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file


class ProjectFileError(HeliosError):
    """A project file is invalid; `problems` lists everything wrong with it."""

    code = "project-file"
    exit_code = 3

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        count = len(problems)
        first = problems[0]
        super().__init__(
            f"{count} problem{'s' if count != 1 else ''} in {first.file}",
            next_step="Mend what is listed and run `helios check` again.",
        )
        self.problems = problems


class BudgetError(HeliosError):
    """Anything the governor refuses."""

    code = "budget"


class BudgetExhausted(BudgetError):
    """A limit has no room for this request.

    `resets_at` is the UTC time in seconds when the binding window closes, or None when it
    never does and only a higher limit helps.
    """

    code = "budget-exhausted"
    exit_code = 4

    def __init__(self, message: str, *, resets_at: float | None, next_step: str = "") -> None:
        super().__init__(message, next_step=next_step)
        self.resets_at = resets_at


class UnknownPrice(BudgetError):
    """No price is known for the model, so no cost can be bounded."""

    code = "unknown-price"
    exit_code = 2


class ReservationLost(BudgetError):
    """The lease is over, the fence has moved on, or the window has closed: do not send."""

    code = "reservation-lost"


class ModelError(HeliosError):
    """A model call failed.

    `billed` is "no" only where that is proved (refused connection, 4xx, 429 or 529 before any
    output); everything else is "unknown" and is charged at the estimate.
    """

    code = "model"

    def __init__(
        self,
        message: str,
        *,
        billed: Billed,
        retry_after_s: float | None = None,
        next_step: str = "",
    ) -> None:
        super().__init__(message, next_step=next_step)
        self.billed: Billed = billed
        self.retry_after_s = retry_after_s


class RateLimited(ModelError):
    """HTTP 429: the provider's own limit."""

    code = "rate-limited"


class Overloaded(ModelError):
    """HTTP 529 or 503: the provider has no capacity now."""

    code = "overloaded"


class ModelTimeout(ModelError):
    """No answer within the time allowed."""

    code = "model-timeout"


class ConnectionLost(ModelError):
    """The provider could not be reached, or the connection broke."""

    code = "connection"


class RequestRefused(ModelError):
    """The provider will never accept this request; trying again is no use."""

    code = "request-refused"


class BadOutput(ModelError):
    """The model answered, but not in the shape its role requires."""

    code = "bad-output"


class PatchRejected(HeliosError):
    """A proposed edit does not fit the files it is meant for."""

    code = "patch-rejected"


class WorkspaceError(HeliosError):
    """A Git operation failed."""

    code = "workspace"


class SandboxUnavailable(HeliosError):
    """Agent code would run without containment, and nobody waived it."""

    code = "sandbox-unavailable"
    exit_code = 2


class StoreError(HeliosError):
    """The database cannot be used."""

    code = "store"
    exit_code = 6


class ConflictError(HeliosError):
    """Somebody else holds what is asked for, or its state does not allow it."""

    code = "conflict"
    exit_code = 7


class HeliosSignal(BaseException):
    """Control flow, not failure: passes through `except Exception`."""


class RunStopping(HeliosSignal):
    """The run was asked to stop; work in flight is left for the next start."""
