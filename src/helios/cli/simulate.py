"""simulate-provider: a provider to try things against."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from helios.cli.options import AsJson
from helios.cli.terminal import print_line, talk


def simulate_provider(  # noqa: PLR0913 - one parameter a flag
    *,
    port: Annotated[int, Parameter(help="Where to listen; 0 takes a free port.")] = 0,
    script: Annotated[Path | None, Parameter(help="Recorded answers, a YAML file.")] = None,
    answer: Annotated[
        str, Parameter(help="Where none is recorded: refuse, echo or lorem (made up).")
    ] = "refuse",
    length: Annotated[
        str, Parameter(help="Of what is made up: short, medium, long or median=200,spread=0.5.")
    ] = "medium",
    latency: Annotated[
        str,
        Parameter(help="tiers, fast, model, slow or first=MS,per-token=MS,spread=0.3."),
    ] = "tiers",
    time_scale: Annotated[float, Parameter(help="Multiplies delays; 0 answers at once.")] = 1.0,
    window: Annotated[
        tuple[str, ...],
        Parameter(negative="", help="five_hour=900messages, requests=50, ...; repeatable."),
    ] = (),
    overage: Annotated[bool, Parameter(negative="", help="Full windows spill over.")] = False,
    fault: Annotated[
        tuple[str, ...], Parameter(negative="", help="NAME=RATE, such as 529=0.1; repeatable.")
    ] = (),
    fault_header: Annotated[
        bool, Parameter(negative="", help="Obey the header x-helios-fault: NAME.")
    ] = False,
    seed: Annotated[int, Parameter(help="Of faults, lengths and delays.")] = 0,
    meter: Annotated[Path | None, Parameter(help="Append what is billed to this file.")] = None,
    json: AsJson = False,
) -> int:
    """Serve simulated answers on 127.0.0.1 until Ctrl-C: the Messages API and chat completions.

    No model answers. Every answer carries the header `x-helios-simulated: true`; what is billed
    stands in the meter, and at /_meter.
    """
    from helios.bootstrap.simulating import SimulatorOptions, simulate

    simulate(
        SimulatorOptions(
            port=port,
            script=script,
            meter=meter,
            answer=answer,
            length=length,
            latency=latency,
            time_scale=time_scale,
            windows=window,
            overage=overage,
            faults=fault,
            fault_header=fault_header,
            seed=seed,
        ),
        lambda url: _ready(url, as_json=json),
    )
    talk().print("[yellow]■[/] ended")
    return 0


def _ready(url: str, *, as_json: bool) -> None:
    if as_json:
        print_line({"schema": 1, "url": url, "simulated": True})
    else:
        print(url, flush=True)
    talk().print("[bold yellow]SIMULATED[/] no model answers here; the meter is at /_meter")
