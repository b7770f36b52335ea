"""The app: endpoints, errors and the document that describes them."""

from dataclasses import asdict
from typing import Any

from fastapi import FastAPI, Request
from pydantic import TypeAdapter

from helios import __version__
from helios.bootstrap.gateway import GatewayDesk
from helios.bootstrap.house import Desk
from helios.bootstrap.providers import GATEWAY_CLOSED
from helios.server.board import Board
from helios.server.budget import BudgetFace
from helios.server.health import ServerHealth, UpstreamView
from helios.server.limits import LimitsFace
from helios.server.problems import MEDIA_TYPE, Problem, answer_with_problems
from helios.server.sizes import BoundedBodies

ABOUT = (
    "Budget for model calls: ask before, report after. Times are UTC seconds since 1970; every"
    " error is a problem document (RFC 9457)."
)


class HeliosApp(FastAPI):
    """FastAPI whose document says the truth about errors."""

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI 3.1 document."""
        if self.openapi_schema is None:
            document = super().openapi()
            schemas = document.setdefault("components", {}).setdefault("schemas", {})
            problem = TypeAdapter(Problem).json_schema(ref_template="#/components/schemas/{model}")
            schemas.update(problem.pop("$defs", {}))
            schemas["Problem"] = problem
        return super().openapi()


def create_app(desk: Desk, gateway: GatewayDesk | None = None) -> FastAPI:
    """Helios's own API over one desk and the gateway beside it, open as long as it is served."""
    problem = {"content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}}
    app = HeliosApp(
        title="Helios",
        summary="Runs many AI agent projects at once on a fixed model budget.",
        description=ABOUT,
        version=__version__,
        responses={"default": {"description": "Not served; says why.", **problem}},
        generate_unique_id_function=lambda route: route.name,
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )
    board = Board(desk)
    app.include_router(BudgetFace(desk, board).router())
    app.include_router(LimitsFace(desk, board).router())

    async def server_health() -> ServerHealth:
        """That the server answers, and its store."""
        await board.status()
        upstream = UpstreamView(**asdict(gateway.upstream.state)) if gateway else None
        return ServerHealth(
            status="ok", version=__version__, simulated=desk.simulated, upstream=upstream
        )

    async def index(request: Request) -> dict[str, str]:
        """Where everything is, for whoever opens the address."""
        base = str(request.base_url).rstrip("/")
        return {
            "name": "Helios",
            "version": __version__,
            "docs": f"{base}/docs",
            "openapi": f"{base}/openapi.json",
            "health": f"{base}/api/health",
            "budget": f"{base}/api/v1/helios/budget/status",
            "gateway": f"export ANTHROPIC_BASE_URL={base}" if gateway else GATEWAY_CLOSED,
        }

    app.get("/", include_in_schema=False)(index)
    app.get("/api/health", tags=["server"])(server_health)
    answer_with_problems(app, desk.house.clock)
    app.add_middleware(BoundedBodies)
    return app
