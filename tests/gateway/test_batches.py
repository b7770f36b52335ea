"""Message batches through the official SDK: held as a whole, settled at half price, once."""

from pathlib import Path
from time import perf_counter, sleep

import anthropic
import pytest

from helios.domain.budget.units import Unit
from helios.domain.budget.window import Forever
from helios.domain.pricing import Model
from helios.domain.usage import Usage
from tests.gateway.clients.rig import Books, Rig, entry, gateway

ANSWERS = [entry("hello", "simulated: hello 안녕"), entry("other", "simulated: another answer")]
MODEL, DEAR = "claude-haiku-5-5", "claude-opus-5-5"


def client(rig: Rig) -> anthropic.Anthropic:
    headers = {"X-Helios-Project": "shop"}
    return anthropic.Anthropic(
        base_url=rig.url, api_key="hel_any", max_retries=0, default_headers=headers
    )


def wish(number: int, text: str, model: str = MODEL) -> dict[str, object]:
    asked = {"model": model, "max_tokens": 500, "messages": [{"role": "user", "content": text}]}
    return {"custom_id": f"w{number}", "params": asked}


def half(model: Model, *answers: anthropic.types.Message) -> int:
    usages = [Usage(told.usage.input_tokens, told.usage.output_tokens) for told in answers]
    return sum(-(-model.cost_microusd(usage) // 2) for usage in usages)


def test_a_batch_is_held_and_then_charged_half(tmp_path: Path) -> None:
    with gateway(tmp_path / "집", ANSWERS) as rig:
        sdk = client(rig)
        wishes = [wish(1, "hello"), wish(2, "other"), wish(3, "hello", DEAR)]
        batch = sdk.messages.batches.create(requests=wishes)
        held = rig._rows("SELECT state FROM ledger_entries")
        assert held in ([("sent",)], [("settled",)])
        while batch.processing_status != "ended":
            sleep(0.05)
            batch = sdk.messages.batches.retrieve(batch.id)
        assert batch.results_url.startswith(rig.url)
        results = {line.custom_id: line.result for line in sdk.messages.batches.results(batch.id)}
        assert {result.type for result in results.values()} == {"succeeded"}
        assert rig.settled().messages == 3
        model = rig.house.catalogue.model
        paid = half(model(MODEL), results["w1"].message, results["w2"].message)
        paid += half(model(DEAR), results["w3"].message)
        assert rig.settled() == rig.reported() == Books(paid, 3)
        assert len(rig.simulator.reading().answers) == 3
        deadline = perf_counter() + 10
        while rig.do(rig.house.stores.keys.open_batches(simulated=True)):
            assert perf_counter() < deadline
            sleep(0.02)
        assert next(iter(sdk.messages.batches.list())).id == batch.id


def test_a_batch_beyond_the_budget_is_not_sent(tmp_path: Path) -> None:
    with gateway(tmp_path / "집", ANSWERS) as rig:
        rig.limit(Unit.MESSAGES, 2, Forever())
        with pytest.raises(anthropic.APIStatusError) as refused:
            client(rig).messages.batches.create(requests=[wish(n, "hello") for n in range(3)])
        assert refused.value.status_code == 402
        assert rig.settled() == Books(0, 0)
        assert not rig.simulator.reading().answers


def test_results_are_booked_before_they_can_be_deleted(tmp_path: Path) -> None:
    with gateway(tmp_path / "집", ANSWERS) as rig:
        sdk = client(rig)
        batch = sdk.messages.batches.create(requests=[wish(1, "hello")])
        while sdk.messages.batches.retrieve(batch.id).processing_status != "ended":
            sleep(0.05)
        sdk.messages.batches.delete(batch.id)
        assert rig.settled().messages == 1
        assert rig.reported() == rig.settled()


def test_what_is_no_batch_is_refused(tmp_path: Path) -> None:
    with gateway(tmp_path / "집", ANSWERS) as rig:
        for requests in ([], [{"custom_id": "a"}], [wish(1, "hello", "claude-unheard-of")]):
            with pytest.raises(anthropic.BadRequestError):
                client(rig).messages.batches.create(requests=requests)
        assert rig.settled() == Books(0, 0)
