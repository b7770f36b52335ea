"""A role's question, asked by a pydantic-ai agent: one request, answered in the role's own shape.

Importing this module takes half a second, for pydantic-ai: `runner.load_role_agent` does it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pydantic_ai
from pydantic_ai import Agent, ToolOutput, UnexpectedModelBehavior, capture_run_messages
from pydantic_ai.messages import ModelMessage, ModelRequest, ModelResponse, TextPart
from pydantic_core import to_jsonable_python

from helios.errors import BadOutput
from helios.ports.agents import AnswerShape
from helios.ports.models import Message
from helios.services.agent_model import HeliosModel
from helios.services.responses import Call, Responses

pydantic_ai.BANNER_ENABLED = False  # it would stand in the middle of the live view


async def ask_role(responses: Responses, call: Call, answer: AnswerShape) -> Mapping[str, Any]:
    """What a role submits, as plain values of its shape.

    Nothing is asked twice here: what follows a wrong answer is for the engine to decide.

    Args:
        responses: makes the call.
        call: whose it is; its request says what the role is told and what was said so far, the
            last of it by us.
        answer: what must be submitted.

    Raises:
        BadOutput: nothing was submitted, or something of another shape.
        BudgetExhausted: there is no room; nothing was sent.
        ModelError: the provider failed.
    """
    asked = call.request
    agent = Agent(
        HeliosModel(responses, replace(call, request=replace(asked, system="", messages=()))),
        output_type=ToolOutput(answer.shape, name=answer.tool),
        instructions=asked.system,
        name=call.agent,
        retries=0,
    )
    *before, last = asked.messages
    with capture_run_messages() as said:
        try:
            done = await agent.run(last.text, message_history=[_turn(m) for m in before])
        except UnexpectedModelBehavior as error:
            raise _nothing_submitted(said) from error
    submitted: Mapping[str, Any] = to_jsonable_python(done.output)
    return submitted


def _turn(message: Message) -> ModelMessage:
    if message.role == "assistant":
        return ModelResponse([TextPart(message.text)])
    return ModelRequest.user_text_prompt(message.text)


def _nothing_submitted(said: Sequence[ModelMessage]) -> BadOutput:
    reply = next(m for m in reversed(said) if isinstance(m, ModelResponse))
    ended = (reply.provider_details or {})["finish_reason"]
    return BadOutput(
        f"the answer did not submit anything (it ended with {ended}): {(reply.text or '')[:500]}",
        billed="unknown",
    )
