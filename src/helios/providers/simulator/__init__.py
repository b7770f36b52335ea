"""A real HTTP server that speaks the Messages API and gives recorded answers, never invented ones.

Every answer says that it is simulated: by the header `x-helios-simulated: true`, by an id that
begins with `msg_sim_`, and, where it is text, by the text itself.
"""

from helios.providers.simulator.faults import Fault, FaultPlan
from helios.providers.simulator.provider import SimulatorProvider, start_simulator

__all__ = ["Fault", "FaultPlan", "SimulatorProvider", "start_simulator"]
