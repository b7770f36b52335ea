"""One attempt of one task: gather, ask, verify; every part can be repeated after a crash."""

from helios.services.execution.outcome import Failure, Outcome
from helios.services.execution.project import LiveProject
from helios.services.execution.runner import TaskRunner

__all__ = ["Failure", "LiveProject", "Outcome", "TaskRunner"]
