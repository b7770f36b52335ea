"""Choose a provider: the API when there is a key, a vendor or a plug-in by its name, else the
simulator.
"""

import asyncio
from collections.abc import Awaitable, Callable
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from helios.domain.vendors import VENDORS
from helios.errors import UsageError
from helios.ports.models import Provider
from helios.providers.endpoint import refuse_subscription
from helios.providers.vendors import VendorRouter, VendorSettings

ENTRY_POINTS = "helios.providers"

ProviderFactory = Callable[..., Awaitable[Provider]]
"""What a plug-in offers: called with `api_key`, `base_url` and `clock`, it answers a provider."""


def check_provider(vendors: VendorSettings, name: str = "") -> str:
    """The name of the provider these settings mean, without opening it.

    Args:
        vendors: keys and endpoints.
        name: as `open_provider` takes it; "" is not said.

    Raises:
        UsageError: there is no such provider, or its key is missing or none it may be given.
    """
    chosen = name or ("anthropic" if vendors.api_key else "simulator")
    if chosen == "simulator":
        return chosen
    if chosen not in VENDORS:
        _point(chosen)
    vendors.check(chosen)
    # Whatever answers runs: the gateway, and models named anthropic:..., would use this key.
    refuse_subscription(vendors.api_key)
    return chosen


async def open_provider(
    *,
    vendors: VendorSettings,
    script: Path | None,
    meter: Path,
    time_scale: float,
    force_simulator: bool = False,
    name: str | None = None,
) -> Provider:
    """The provider these settings mean.

    Args:
        vendors: keys and endpoints.
        script: the simulator's recorded answers.
        meter: where the simulator writes what it billed.
        time_scale: multiplies the simulator's delays.
        force_simulator: the simulator for every model, even with a key.
        name: a vendor's, simulator or a plug-in's, for models that name no vendor; None is
            anthropic with a key, else the simulator.

    Raises:
        UsageError: there is no such provider, or it lacks its key.
    """
    key = vendors.api_key
    chosen = "simulator" if force_simulator else name or ("anthropic" if key else "simulator")
    if chosen == "simulator":
        # Imported here because a run with a real provider needs no server.
        from helios.providers.simulator import start_simulator

        return await start_simulator(
            script=script, meter=meter, time_scale=time_scale, clock=vendors.clock
        )
    openers = vendors.openers()
    if chosen in VENDORS:
        usual = await asyncio.to_thread(openers[chosen])
        return VendorRouter(usual, openers, {chosen: usual})
    factory = _plugin(chosen)
    vendors.check(chosen)
    usual = await factory(
        api_key=key or None, base_url=vendors.base_url or None, clock=vendors.clock
    )
    return VendorRouter(usual, openers, {})


def _point(name: str) -> EntryPoint:
    plugins = {point.name: point for point in entry_points(group=ENTRY_POINTS)}
    if name not in plugins:
        known = ", ".join([*VENDORS, "simulator", *sorted(plugins)])
        raise UsageError(
            f"there is no provider {name!r}",
            next_step=f"Known: {known}. A plug-in offers one by the entry point {ENTRY_POINTS}.",
        )
    return plugins[name]


def _plugin(name: str) -> ProviderFactory:
    point = _point(name)
    try:
        factory: ProviderFactory = point.load()
    except (ImportError, AttributeError) as error:
        raise UsageError(
            f"the provider {name!r} cannot be loaded: {error}",
            next_step=f"Install the plug-in {point.value} again.",
        ) from error
    return factory
