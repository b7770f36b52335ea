"""Errors as problem documents (RFC 9457): what happened, in which field, and what helps."""

import json
import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, cast

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import Response

from helios.errors import BudgetExhausted, HeliosError, StoreError, UnknownPrice
from helios.ports.clock import Clock

MEDIA_TYPE = "application/problem+json"
RETRY_S = 5
"""When to ask again for a store that is away."""
MOST_FIELDS = 20

log = structlog.get_logger("helios.api")

_STATUS: Mapping[str, int] = {
    "usage": 422,
    "unknown-price": 422,
    "budget-exhausted": 429,
    "reservation-lost": 409,
    "conflict": 409,
    "store": 503,
}
"""By the code of a Helios error; any other is a defect of the server."""


class FieldProblem(BaseModel):
    """What is wrong with one part of the request: `pointer` (RFC 6901) leads into the body,
    `parameter` names a part of the address or a header.
    """

    detail: str
    pointer: str | None = None
    parameter: str | None = None


class Problem(BaseModel):
    """Why a request was not served. `code` is for programs and stays; `retry_at` is UTC seconds."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    code: str
    next_step: str = ""
    retry_at: float | None = None
    errors: list[FieldProblem] = Field(default_factory=list[FieldProblem])


class NoSuch(HTTPException):
    """The endpoint is there, what its path names is not."""

    def __init__(self, detail: str, next_step: str) -> None:
        super().__init__(404, detail)
        self.next_step = next_step


def problem_response(problem: Problem, headers: Mapping[str, str] | None = None) -> Response:
    """A problem on the wire."""
    # Escaped: what a caller sent may hold half a surrogate pair, which UTF-8 cannot.
    content = json.dumps(problem.model_dump())
    return Response(content, problem.status, dict(headers or {}), MEDIA_TYPE)


def make_problem(status: int, code: str, detail: str, next_step: str = "", **more: Any) -> Problem:
    """A problem with its status's own title."""
    title = HTTPStatus(status).phrase
    return Problem(
        title=title, status=status, detail=detail, code=code, next_step=next_step, **more
    )


def wrong_field(place: Sequence[str | int], detail: str) -> RequestValidationError:
    """The error that says a field is wrong; `place` begins with body, query, path or header."""
    return RequestValidationError([{"type": "value_error", "loc": tuple(place), "msg": detail}])


def body_too_large() -> Problem:
    """The body is larger than is read."""
    field = FieldProblem(pointer="#", detail="larger than 1 MB")
    detail = f"the body is {field.detail}"
    return make_problem(422, "body-too-large", detail, "Send less.", errors=[field])


def stopping() -> Response:
    """The server ends before it has answered."""
    told = make_problem(503, "stopping", "Helios is stopping", "Ask again in a moment.")
    return problem_response(told, {"Retry-After": str(RETRY_S)})


def answer_with_problems(app: FastAPI, clock: Clock) -> None:
    """Answer every error of an app with a problem document."""

    async def ours(request: Request, error: Exception) -> Response:
        assert isinstance(error, HeliosError)
        return _of_helios(request, error, clock.now())

    app.add_exception_handler(HeliosError, ours)
    app.add_exception_handler(RequestValidationError, _of_fields)
    app.add_exception_handler(HTTPException, _of_http)
    app.add_exception_handler(Exception, _of_defect)


def _of_helios(request: Request, error: HeliosError, now: float) -> Response:
    status = _STATUS.get(error.code, 500)
    retry_at, headers = None, {}
    errors = []
    if isinstance(error, StoreError):
        retry_at = now + RETRY_S
    if isinstance(error, BudgetExhausted):
        retry_at = error.resets_at
    if retry_at is not None:
        headers["Retry-After"] = str(max(1, round(retry_at - now)))
    if isinstance(error, UnknownPrice):
        field = "model" if request.url.path.endswith("/record-usage") else "preferred_model"
        errors.append(FieldProblem(pointer=f"#/{field}", detail=error.message))
    if status >= 500:
        log.error("request failed", path=request.url.path, code=error.code, error=error.message)
    told = make_problem(
        status, error.code, error.message, error.next_step, retry_at=retry_at, errors=errors
    )
    return problem_response(told, headers)


async def _of_fields(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    found = error.errors()
    if any(one["type"] == "json_invalid" for one in found):
        return _bad_body(f"not JSON: {found[0]['ctx']['error']} at {found[0]['loc'][-1]}")
    if isinstance(error.body, bytes):
        return _bad_body("JSON is expected, with the header Content-Type: application/json")
    named = [_field(one) for one in found[:MOST_FIELDS]]
    more = len(found) - len(named)
    wrong = "1 field is" if len(found) == 1 else f"{len(found)} fields are"
    told = make_problem(
        422,
        "invalid-input",
        f"{wrong} wrong" + (f", {more} of them not listed" if more else ""),
        "Mend the fields under `errors`; /openapi.json describes all of them.",
        errors=named,
    )
    return problem_response(told)


def _field(error: Mapping[str, Any]) -> FieldProblem:
    where, *place = error["loc"]
    detail = str(error["msg"]).removeprefix("Value error, ")
    if where == "body":
        steps = (str(step).replace("~", "~0").replace("/", "~1") for step in place)
        return FieldProblem(pointer="#" + "".join(f"/{step}" for step in steps), detail=detail)
    return FieldProblem(parameter="/".join(str(step) for step in place) or where, detail=detail)


def _bad_body(detail: str) -> Response:
    field = FieldProblem(pointer="#", detail=detail)
    told = make_problem(
        422, "bad-body", f"the body cannot be read: {detail}", "Send JSON in UTF-8.", errors=[field]
    )
    return problem_response(told)


async def _of_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    path = request.url.path
    match error.status_code:
        case 404 if isinstance(error, NoSuch):
            told = make_problem(404, "not-found", error.detail, error.next_step)
        case 404:
            told = make_problem(
                404, "not-found", f"there is no {path}", "/openapi.json lists what there is."
            )
        case 405:
            allowed = _methods_of(request) or (error.headers or {}).get("Allow", "")
            detail = f"{request.method} is not for {path}"
            told = make_problem(405, "method-not-allowed", detail, f"It takes {allowed}.")
            return problem_response(told, {"Allow": allowed})
        case 413:
            told = body_too_large()
        case 400:
            # FastAPI's word for a body that its JSON reader gave up on.
            return _bad_body(f"{type(error.__cause__).__name__}: {error.__cause__}")
        case status:
            told = make_problem(status, "http", str(error.detail))
    return problem_response(told, error.headers)


def _methods_of(request: Request) -> str:
    """All methods of a path; the framework tells those of its first endpoint only."""
    told = cast("FastAPI", request.app).openapi()["paths"]
    ours = [
        methods
        for path, methods in told.items()
        if re.fullmatch(re.sub(r"\\{[^}]*\\}", ".+", re.escape(path)), request.url.path)
    ]
    return ", ".join(sorted({method.upper() for methods in ours for method in methods}))


async def _of_defect(request: Request, error: Exception) -> Response:
    log.error("request failed", path=request.url.path, exc_info=error)
    told = make_problem(
        500,
        "internal",
        "this is a defect of Helios",
        "Please report it with the last lines of logs/helios.jsonl in Helios's home.",
    )
    return problem_response(told)
