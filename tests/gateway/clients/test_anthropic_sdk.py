"""What else the SDK can do: tools, counting, models, batches, raw answers."""

import asyncio
from pathlib import Path
from time import perf_counter, sleep

import pytest
from anthropic import APITimeoutError

from tests.gateway.clients.anthropic_sdk import asking, async_client, sync_client
from tests.gateway.clients.protocol import MODEL
from tests.gateway.clients.rig import Rig, entry, gateway

pytestmark = pytest.mark.slow

WEATHER = {
    "name": "weather",
    "description": "날씨를 알려 줍니다",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}},
}


def test_tools_go_back_and_forth_as_a_stream(tmp_path: Path) -> None:
    script = [
        entry("서울 날씨", turn=1, tool="weather", input={"city": "서울"}),
        entry("맑음", "서울은 맑습니다"),
    ]
    with gateway(tmp_path / "집", script) as rig, sync_client(rig.to()) as client:
        asked = asking("서울 날씨 어때요?") | {"tools": [WEATHER]}
        with client.messages.stream(**asked) as stream:
            answer = stream.get_final_message()
        assert answer.stop_reason == "tool_use"
        call = answer.content[0]
        assert (call.name, call.input) == ("weather", {"city": "서울"})
        asked["messages"] += [
            {"role": "assistant", "content": [block.model_dump() for block in answer.content]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": call.id, "content": "맑음"}]},
        ]  # fmt: skip
        last = client.messages.create(**asked)
        assert last.content[0].text.endswith("서울은 맑습니다")
        rig.books_equal_meter(messages=2)


def test_counting_and_models_cost_nothing(rig: Rig) -> None:
    rig.close_window()
    with sync_client(rig.to()) as client:
        question = [{"role": "user", "content": "몇 토큰?"}]
        counted = client.messages.count_tokens(model=MODEL, messages=question)
        assert counted.input_tokens > 0
        assert MODEL in {model.id for model in client.models.list()}
        assert client.models.retrieve(MODEL).id == MODEL
    rig.books_equal_meter(messages=0)


def test_the_providers_headers_come_through(rig: Rig) -> None:
    with sync_client(rig.to()) as client:
        raw = client.messages.with_raw_response.create(**asking("인사"))
    assert raw.headers["request-id"].startswith("req_sim_")
    assert int(raw.headers["anthropic-ratelimit-requests-limit"]) > 0
    assert raw.parse().content[0].text


def test_an_unknown_field_and_beta_reach_the_provider(rig: Rig) -> None:
    with sync_client(rig.to()) as client:
        client.messages.create(
            **asking("인사"),
            extra_body={"나중에_생긴_것": {"깊이": [1, None]}},
            extra_headers={"anthropic-beta": "not-yet-2027-01-01"},
        )
    assert rig.asked[0].headers["anthropic-beta"] == "not-yet-2027-01-01"
    rig.books_equal_meter(messages=1)


def test_a_batch_is_settled_at_half_price(rig: Rig) -> None:
    requests = [
        {"custom_id": f"q{number}", "params": asking(f"{number}번째 질문")} for number in range(5)
    ]
    with sync_client(rig.to()) as client:
        batch = client.messages.batches.create(requests=requests)
        deadline = perf_counter() + 30
        while client.messages.batches.retrieve(batch.id).processing_status != "ended":
            assert perf_counter() < deadline
            sleep(0.05)
        results = {
            line.custom_id: line.result for line in client.messages.batches.results(batch.id)
        }
    assert {result.type for result in results.values()} == {"succeeded"}
    assert set(results) == {request["custom_id"] for request in requests}
    rig.books_equal_meter(messages=5)


def test_fifty_in_one_async_client(rig: Rig) -> None:
    async def all_at_once() -> list[str]:
        async with async_client(rig.to()) as client:
            asked = (client.messages.create(**asking(f"{n}번째")) for n in range(50))
            return [message.content[0].text for message in await asyncio.gather(*asked)]

    assert len(asyncio.run(all_at_once())) == 50
    rig.books_equal_meter(messages=50)


def test_who_waits_no_longer_for_an_answer_in_one_piece_pays_for_all_of_it(tmp_path: Path) -> None:
    script = [entry("", "늦은 답 " * 100)]
    with gateway(tmp_path / "집", script, time_scale=3.0) as rig:
        hurried = sync_client(rig.to()).with_options(timeout=0.2, max_retries=0)
        with hurried as client, pytest.raises(APITimeoutError):
            client.messages.create(**asking("급해요"))
        rig.books_equal_meter(messages=1)
