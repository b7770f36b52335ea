"""All verbs in one table."""

from cyclopts import App, Group

from helios import __version__

FIRST_TRY = "A first try: `helios init`, `helios check`, `helios plan`, `helios run`."
app = App(
    name="helios",
    version=__version__,
    help="Runs many AI agent projects at once on a fixed model budget.",
    help_epilogue=FIRST_TRY,
)
PROJECTS, RUNS, LOOKS = (
    Group(name, sort_key=place)
    for place, name in enumerate(("Write a project", "Drive it", "Look"), start=1)
)
for order, (verb, module, group, about) in enumerate(
    (
        ("init", "project", PROJECTS, "Write a commented project file to start from."),
        ("check", "project", PROJECTS, "Find everything that is wrong with a project file."),
        ("plan", "project", PROJECTS, "Order, models and why, expected cost, whether it fits."),
        ("run", "running", RUNS, "Run a project, or go on with its unfinished run."),
        ("resume", "running", RUNS, "Go on with a run, as the project was when it began."),
        ("cancel", "running", RUNS, "End a run; what is finished is kept."),
        ("serve", "serve", RUNS, "The gateway for Anthropic clients, and the HTTP API."),
        ("keys", "keys", RUNS, "Keys for the gateway's clients: budget, models, rate."),
        ("simulate-provider", "simulate", RUNS, "Serve simulated answers, for trying things out."),
        ("status", "looking", LOOKS, "How far a project's newest run is."),
        ("why", "looking", LOOKS, "Why a task waits, and why it has its model."),
        ("budget", "budget", LOOKS, "How full the windows are, and what may be spent."),
        ("statusline", "statusline", LOOKS, "One line for Claude Code's status bar."),
        ("doctor", "doctor", LOOKS, "What is installed, reachable, missing, and the cure."),
    )
):
    # By name: a command loads what it needs when it is called, not before.
    function = "app" if module in ("budget", "keys") else verb.replace("-", "_")
    place = f"helios.cli.{module}:{function}"
    # An app of its own says in its definition that the first try is not told again.
    own = {} if function == "app" else {"help_epilogue": ""}
    app.command(place, name=verb, group=group, sort_key=order, help=about, **own)
