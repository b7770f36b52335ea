"""Making a message batch: it is sent once, and then noted, or its books are closed."""

import re
from dataclasses import replace

import structlog

from helios.domain.budget.units import Amounts
from helios.errors import ModelError, ReservationLost, StoreError
from helios.ports.keys import KeyBook, OpenBatch
from helios.ports.upstream import UpstreamRequest
from helios.services.responses.batch_settling import BatchSettling
from helios.services.responses.gateway_parts import GatewayParts
from helios.services.responses.passage import NOT_BILLED
from helios.services.responses.whole_answer import Answered, read_whole

NAME = re.compile(r"[A-Za-z0-9_-]{1,200}")
AGAIN = b"x-should-retry"
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0
log = structlog.get_logger("helios.gateway")


class BatchMaking:
    """A batch that is held, and counts as sent from the same commit on.

    Args:
        batch: as it will be noted, but for the provider's name for it.
        fence: its entry's in the ledger.
        held: its estimate.
    """

    def __init__(
        self,
        parts: GatewayParts,
        settling: BatchSettling,
        keys: KeyBook,
        *,
        batch: OpenBatch,
        fence: int,
        held: Amounts,
    ) -> None:
        self._parts = parts
        self._settling = settling
        self._keys = keys
        self._batch = batch
        self._fence = fence
        self._held = held
        self._unknown = "Helios was stopped"
        self.may_exist = False
        """Whether the provider may have made it: who asks for it again may get another."""

    async def send(self, request: UpstreamRequest) -> Answered:
        """Send it, and wait for the answer, which tells not to repeat what may have been done.

        Raises:
            ModelError: there was none.
        """
        sending = await self._parts.upstream.begin(request)
        self.may_exist = True
        try:
            reply = await read_whole(await sending)
        except ModelError as error:
            self.may_exist = error.billed != "no"
            self._unknown = error.code
            raise
        self.may_exist = reply.status not in NOT_BILLED
        if reply.status == 200:
            self._take_name(reply.text("id"))
        elif self.may_exist:
            self._unknown = f"status {reply.status}"
            kept = [header for header in reply.headers if header[0] != AGAIN]
            reply = replace(reply, headers=(*kept, (AGAIN, b"false")))
        return reply

    def _take_name(self, name: str) -> None:
        self._unknown = "it was told no name"
        if NAME.fullmatch(name):
            self._batch = replace(self._batch, upstream_id=name)

    async def finish(self) -> None:
        """Note it, or close its books; repeating it changes nothing.

        What nobody can know to have been made or not is charged its estimate. A store that cannot
        be reached is asked again until it can.
        """
        pause_s = FIRST_PAUSE_S
        while True:
            try:
                await self._finish()
            except StoreError as error:
                self._warn("batch not in the books yet", error)
            except ReservationLost as error:
                self._warn("batch settled too late", error)
                return
            else:
                return
            await self._parts.clock.sleep(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    async def _finish(self) -> None:
        if self._batch.upstream_id:
            await self._keys.note_batch(self._batch)
        elif self.may_exist:
            await self._settling.charge_estimate(self._batch, self._unknown, self._held)
        else:
            request_id = self._batch.request_id
            await self._parts.ledger.release(request_id, self._fence, unbilled=True)

    def _warn(self, event: str, error: StoreError | ReservationLost) -> None:
        names = {"request": self._batch.request_id, "batch": self._batch.upstream_id}
        log.warning(event, **names, error=error.message)
