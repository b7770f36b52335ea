"""All verbs in one table."""

from cyclopts import App

from helios import __version__

app = App(
    name="helios",
    version=__version__,
    help="Runs many AI agent projects at once on a fixed model budget.",
    help_epilogue="A first try: `helios init`, `helios check`, `helios plan`, `helios run`.",
)
for verb, place in {
    "init": "helios.cli.project:init",
    "check": "helios.cli.project:check",
    "plan": "helios.cli.project:plan",
    "run": "helios.cli.running:run",
    "resume": "helios.cli.running:resume",
    "cancel": "helios.cli.running:cancel",
    "status": "helios.cli.looking:status",
    "why": "helios.cli.looking:why",
    "budget": "helios.cli.looking:budget",
    "doctor": "helios.cli.doctor:doctor",
}.items():
    app.command(place, name=verb)
