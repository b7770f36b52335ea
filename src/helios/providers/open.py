"""Choose a provider: the API when there is a key, a plug-in by its name, else the simulator."""

from collections.abc import Awaitable, Callable
from importlib.metadata import entry_points
from pathlib import Path

from helios.errors import UsageError
from helios.ports.clock import Clock
from helios.ports.models import Provider
from helios.providers.anthropic_api import AnthropicProvider

ENTRY_POINTS = "helios.providers"

ProviderFactory = Callable[..., Awaitable[Provider]]
"""What a plug-in offers: called with `api_key`, `base_url` and `clock`, it answers a provider."""


async def open_provider(  # noqa: PLR0913 - plain values, named at the one place that calls it
    *,
    api_key: str | None,
    base_url: str | None,
    script: Path | None,
    meter: Path,
    time_scale: float,
    clock: Clock,
    force_simulator: bool = False,
    name: str | None = None,
) -> Provider:
    """The provider these settings mean.

    Args:
        api_key: an Anthropic key, or what a plug-in takes as one.
        base_url: the endpoint; None is the provider's own.
        script: the simulator's recorded answers.
        meter: where the simulator writes what it billed.
        time_scale: multiplies the simulator's delays.
        clock: what the simulator waits by.
        force_simulator: the simulator, even with a key.
        name: anthropic, simulator or a plug-in's; None decides by the key.

    Raises:
        UsageError: there is no such provider, or it lacks its key.
    """
    chosen = "simulator" if force_simulator else name or ("anthropic" if api_key else "simulator")
    match chosen:
        case "anthropic":
            return _anthropic(api_key, base_url)
        case "simulator":
            # Imported here because a run with a real provider needs no server.
            from helios.providers.simulator import start_simulator

            return await start_simulator(
                script=script, meter=meter, time_scale=time_scale, clock=clock
            )
        case _:
            factory = _plugin(chosen)
            return await factory(api_key=api_key, base_url=base_url, clock=clock)


def _anthropic(api_key: str | None, base_url: str | None) -> Provider:
    if not api_key:
        raise UsageError(
            "the provider anthropic needs a key",
            next_step="Set ANTHROPIC_API_KEY, or choose the provider simulator.",
        )
    return AnthropicProvider(api_key, base_url)


def _plugin(name: str) -> ProviderFactory:
    plugins = {point.name: point for point in entry_points(group=ENTRY_POINTS)}
    if name not in plugins:
        known = ", ".join(["anthropic", "simulator", *sorted(plugins)])
        raise UsageError(
            f"there is no provider {name!r}",
            next_step=f"Known: {known}. A plug-in offers one by the entry point {ENTRY_POINTS}.",
        )
    try:
        factory: ProviderFactory = plugins[name].load()
    except (ImportError, AttributeError) as error:
        raise UsageError(
            f"the provider {name!r} cannot be loaded: {error}",
            next_step=f"Install the plug-in {plugins[name].value} again.",
        ) from error
    return factory
