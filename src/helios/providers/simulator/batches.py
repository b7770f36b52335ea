"""Message batches: many requests at once, answered after a while; Helios bills them at half price.

The meter's lines carry the labels of the request that made the batch, and `batch` and `custom_id`.
"""

import asyncio
import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from helios.providers.simulator import replies
from helios.providers.simulator.answering import Answering, Caller
from helios.providers.simulator.dialect import MESSAGES
from helios.providers.simulator.models import page
from helios.providers.simulator.requests import (
    ApiError,
    check_request,
    field_of,
    invalid,
    json_object,
)

DELAY_S = 2.0
"""Until a batch is answered; multiplied by the time scale."""
_DAY_S = 86_400.0
_MOST = 100_000
_KINDS = ("processing", "succeeded", "errored", "canceled", "expired")


@dataclass(slots=True)
class _Batch:
    id: str
    caller: Caller
    created_at: float
    requests: list[Mapping[str, Any]]
    results: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    ended_at: float | None = None
    canceled_at: float | None = None

    def shown(self, host: str) -> dict[str, Any]:
        """The batch as the API shows it."""
        counts = Counter(line["result"]["type"] for line in self.results)
        counts["processing"] = len(self.requests) - len(self.results)
        where = f"{host}/v1/messages/batches/{self.id}/results"
        running = "canceling" if self.canceled_at else "in_progress"
        return {
            "id": self.id,
            "type": "message_batch",
            "processing_status": "ended" if self.ended_at is not None else running,
            "request_counts": {kind: counts[kind] for kind in _KINDS},
            "created_at": _time(self.created_at),
            "expires_at": _time(self.created_at + _DAY_S),
            "ended_at": _time(self.ended_at),
            "cancel_initiated_at": _time(self.canceled_at),
            "archived_at": None,
            "results_url": where if self.ended_at is not None else None,
        }


class Batches:
    """All batches of a simulator, kept in memory."""

    def __init__(self, answering: Answering) -> None:
        self._answering = answering
        self._batches: dict[str, _Batch] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def create(self, raw: bytes, caller: Caller, host: str) -> dict[str, Any]:
        """Take a batch.

        Raises:
            ApiError: 400; the body is not a batch.
        """
        requests: list[Any] = field_of(json_object(raw), "requests", list)
        if not 0 < len(requests) <= _MOST:
            raise invalid(f"requests: must be from 1 to {_MOST}")
        names = [item.get("custom_id") if isinstance(item, dict) else None for item in requests]
        for index, (name, item) in enumerate(zip(names, requests, strict=True)):
            if not isinstance(name, str) or not name:
                raise invalid(f"requests.{index}.custom_id: Field required")
            if not isinstance(item.get("params"), dict):
                raise invalid(f"requests.{index}.params: Field required")
        if len(set(names)) < len(names):
            raise invalid("requests: every custom_id must be there once")
        batch_id = caller.request_id.replace("req_", "msgbatch_", 1)
        batch = _Batch(batch_id, caller, self._answering.setup.clock.now(), requests)
        self._batches[batch_id] = batch
        task = asyncio.create_task(self._process(batch))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return batch.shown(host)

    def listing(self, query: str, host: str) -> dict[str, Any]:
        """A page of the batches, the newest first."""
        newest = [batch.shown(host) for batch in reversed(self._batches.values())]
        return page(newest, query)

    def act(self, method: str, name: str, action: str, host: str) -> dict[str, Any]:
        """Look at a batch, cancel it or delete it.

        Raises:
            ApiError: there is none, there is no such action, or it is not ended yet.
        """
        batch = self._find(name)
        match method, action:
            case "GET", "":
                return batch.shown(host)
            case "POST", "cancel":
                if batch.ended_at is None:
                    batch.canceled_at = batch.canceled_at or self._answering.setup.clock.now()
                return batch.shown(host)
            case "DELETE", "":
                if batch.ended_at is None:
                    raise invalid(f"{name}: still in progress; cancel it first")
                del self._batches[name]
                return {"id": name, "type": "message_batch_deleted"}
            case _:
                raise ApiError(404, "not_found_error", "Not Found")

    def results(self, name: str) -> bytes:
        """The results of an ended batch, a JSON object a line.

        Raises:
            ApiError: there is none, or it is not ended yet.
        """
        batch = self._find(name)
        if batch.ended_at is None:
            raise invalid(f"{name}: no results yet; it is in progress")
        return b"".join(replies.to_json(line) + b"\n" for line in batch.results)

    async def stop(self) -> None:
        """Answer no batch any more."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _find(self, name: str) -> _Batch:
        if name not in self._batches:
            raise ApiError(404, "not_found_error", f"batch: {name}")
        return self._batches[name]

    async def _process(self, batch: _Batch) -> None:
        setup = self._answering.setup
        await setup.clock.sleep(DELAY_S * setup.time_scale)
        for number, item in enumerate(batch.requests):
            result = {"type": "canceled"} if batch.canceled_at else self._result(batch, number)
            batch.results.append({"custom_id": item["custom_id"], "result": result})
            await asyncio.sleep(0)
        batch.ended_at = setup.clock.now()

    def _result(self, batch: _Batch, number: int) -> dict[str, Any]:
        item = batch.requests[number]
        raw = json.dumps(item["params"]).encode()
        labels = {**batch.caller.labels, "batch": batch.id, "custom_id": item["custom_id"]}
        request_id = f"{batch.caller.request_id}_{number}"
        caller = replace(batch.caller, request_id=request_id, labels=labels)
        try:
            asked = check_request(item["params"])
            digest = hashlib.sha256(raw).hexdigest()
            work = self._answering.accept(asked, digest, caller, body_bytes=len(raw))
            self._answering.begin(work)
            self._answering.bill(work)
        except ApiError as error:
            return {"type": "errored", "error": dict(MESSAGES.error(error, request_id))}
        return {"type": "succeeded", "message": replies.message(work.reply)}


def _time(at: float | None) -> str | None:
    if at is None:
        return None
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
