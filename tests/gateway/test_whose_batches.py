"""Whose a message batch is: what keys of other accounts see of it through the official SDK."""

import json
from collections.abc import Callable
from pathlib import Path
from time import sleep
from typing import Any

import anthropic
import httpx2
import pytest

from helios.errors import ModelError
from helios.services.access import Access
from helios.services.responses import batch_pages, batches
from helios.services.responses.batch_pages import read_page
from tests.gateway.clients.rig import Rig, entry, gateway

ANSWERS = [entry("안녕", "simulated: 안녕하세요")]
PATH = "/v1/messages/batches"
WISH = {
    "custom_id": "하나",
    "params": {
        "model": "claude-haiku-5-5",
        "max_tokens": 100,
        "messages": [{"role": "user", "content": "안녕"}],
    },
}


def people(rig: Rig, **accounts: str) -> list[anthropic.Anthropic]:
    """A client each with a key of that account; to be made before the first request."""
    access = Access(rig.house.stores.keys, rig.house.clock)
    secrets = [rig.do(access.issue(name, account))[0] for name, account in accounts.items()]
    return [client(rig, secret) for secret in secrets]


def client(rig: Rig, secret: str, **headers: str) -> anthropic.Anthropic:
    return anthropic.Anthropic(
        base_url=rig.url, api_key=secret, max_retries=0, default_headers=headers
    )


def made(sdk: anthropic.Anthropic, number: int = 1) -> list[str]:
    """The names of new batches, the newest first as in a list."""
    names = [sdk.messages.batches.create(requests=[WISH]).id for _ in range(number)]  # type: ignore[list-item]
    return names[::-1]


def seen(sdk: anthropic.Anthropic, **asked: Any) -> list[str]:
    return [batch.id for batch in sdk.messages.batches.list(**asked)]


def ended(sdk: anthropic.Anthropic, name: str) -> None:
    while sdk.messages.batches.retrieve(name).processing_status != "ended":
        sleep(0.05)


ACTIONS: dict[str, Callable[[anthropic.Anthropic, str], object]] = {
    "look": lambda sdk, name: sdk.messages.batches.retrieve(name),
    "cancel": lambda sdk, name: sdk.messages.batches.cancel(name),
    "results": lambda sdk, name: sdk.get(f"{PATH}/{name}/results", cast_to=httpx2.Response),
    "delete": lambda sdk, name: sdk.messages.batches.delete(name),
}


def refused(sdk: anthropic.Anthropic, name: str) -> None:
    """All that can be asked of it is answered here: the simulator's own 404 says otherwise."""
    for act in ACTIONS.values():
        with pytest.raises(anthropic.NotFoundError, match="have no such batch") as error:
            act(sdk, name)
        assert error.value.body["error"]["type"] == "not_found_error"  # type: ignore[index]


def test_a_batch_is_there_for_its_account_and_those_above(tmp_path: Path) -> None:
    with gateway(tmp_path / "집", ANSWERS) as rig:
        upper, same, lower, other, alike, house = people(
            rig, u="회사", s="회사", l="회사/가게", o="남", a="회사2", h=""
        )
        (of_upper,), (of_lower,), (of_house,) = made(upper), made(lower), made(house)
        (of_alike,) = made(alike)
        for sdk, sees in (
            (upper, [of_lower, of_upper]),
            (same, [of_lower, of_upper]),
            (lower, [of_lower]),
            (other, []),
            (alike, [of_alike]),
            (house, [of_alike, of_house, of_lower, of_upper]),
        ):
            assert seen(sdk) == sees
            for name in (of_upper, of_lower, of_house, of_alike):
                if name in sees:
                    ended(sdk, name)
                    for act in ("cancel", "results"):
                        ACTIONS[act](sdk, name)
                else:
                    refused(sdk, name)
            if sdk is not house:
                refused(sdk, "msgbatch_unheard_of")
        with pytest.raises(anthropic.NotFoundError, match="batch: msgbatch_unheard_of"):
            ended(house, "msgbatch_unheard_of")
        rig.settled()
        assert seen(lower) == [of_lower]  # settled, and still its own
        upper.messages.batches.delete(of_lower)
        assert seen(lower) == []


def test_a_project_does_not_give_a_batch_away(tmp_path: Path) -> None:
    """It says on whose budget, not whose batch: a key below stays below."""
    with gateway(tmp_path / "집", ANSWERS) as rig:
        upper, lower = people(rig, u="team", l="team/shop")
        named = client(rig, upper.api_key or "", **{"X-Helios-Project": "shop"})
        (batch,) = made(named)
        assert rig._rows("SELECT owner, account FROM gateway_batches") == [("team", "team/shop")]
        assert (seen(upper), seen(lower)) == ([batch], [])
        refused(lower, batch)


def test_no_path_leads_to_a_foreign_batch(tmp_path: Path) -> None:
    with gateway(tmp_path / "집", ANSWERS) as rig:
        mine, other = people(rig, m="나", o="남")
        (own,), (foreign,) = made(mine), made(other)
        ended(other, foreign)
        with httpx2.Client(headers={"x-api-key": mine.api_key or ""}) as http:
            for path in (
                f"//{foreign}",
                f"/{foreign}/",
                f"/{foreign}%2Fresults",
                f"/{own}/../{foreign}",
                f"/{own}%2F..%2F{foreign}",
                f"/{own}/x/{foreign}",
                f"/{own}%3F/{foreign}",
                "/",
                f"/%6D{own[1:]}",
            ):
                for method in ("GET", "POST", "DELETE"):
                    # As bytes, so that the client does not tidy the path.
                    url = httpx2.URL(rig.url).copy_with(raw_path=(PATH + path).encode())
                    told = http.request(method, url)
                    assert told.status_code == 404, (method, path, told.text)
                    assert told.json()["error"]["type"] == "not_found_error"
            assert http.request("PUT", rig.url + PATH).status_code == 405
            assert http.request("DELETE", rig.url + PATH).status_code == 404
            assert http.get(f"{rig.url}{PATH}/{own}?beta=true").json()["id"] == own
        assert seen(other) == [foreign]


def test_a_list_ends_where_it_ends(tmp_path: Path) -> None:
    """Pages full of foreign batches neither end it nor hold it up, in either direction."""
    with gateway(tmp_path / "집", ANSWERS) as rig:
        mine, other = people(rig, m="나", o="남")
        oldest = made(mine, 3)
        made(other, 7)
        middle = made(mine)
        made(other, 3)
        own = [*made(mine, 2), *middle, *oldest]
        newest_foreign = made(other, 5)[0]
        for limit in (1, 2, 3, 20):
            assert seen(mine, limit=limit) == own
            assert seen(mine, limit=limit, after_id=own[0]) == own[1:]
        page = mine.messages.batches.list(limit=2)
        assert [batch.id for batch in page.data] == own[:2]
        assert (page.first_id, page.last_id, page.has_more) == (own[0], own[1], True)
        last = mine.messages.batches.list(limit=2, after_id=own[-1])
        assert (last.data, last.first_id, last.last_id, last.has_more) == ([], None, None, False)
        before = mine.messages.batches.list(limit=1, before_id=oldest[0])
        assert [batch.id for batch in before.data] == middle
        with pytest.raises(anthropic.BadRequestError, match="limit"):
            mine.messages.batches.list(limit=5000)
        whole = mine.with_options(default_query={"beta": "true"}).messages.batches.list(limit=20)
        assert newest_foreign not in whole.to_json()


def test_a_list_that_is_too_long_for_one_answer_says_where_it_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "MOST_PAGES", 2)
    monkeypatch.setattr(batch_pages, "LARGEST", 2)
    with gateway(tmp_path / "집", ANSWERS) as rig:
        mine, other = people(rig, m="나", o="남")
        own, foreign = made(mine), made(other, 4)
        page = mine.messages.batches.list(limit=1)
        assert (page.data, page.has_more, page.last_id) == ([], True, foreign[2])
        page = mine.messages.batches.list(limit=1, after_id=page.last_id)
        assert [batch.id for batch in page.data] == own


def test_pages_backwards_keep_what_is_next_to_where_they_began() -> None:
    ids = ["d", "c", "b", "a"]
    told = {"data": [{"id": name} for name in ids], "has_more": True, "first_id": "d"}
    body = json.dumps(told).encode()
    page = read_page(f"{PATH}?limit=2&before_id=x%26y&beta=%ED%95%9C", body)
    assert page.next_target == f"{PATH}?beta=%ED%95%9C&limit=1000&before_id=d"
    shown = json.loads(page.shown({"d", "c", "a"}, 2))
    assert shown["data"] == [{"id": "c"}, {"id": "a"}]
    assert (shown["first_id"], shown["last_id"], shown["has_more"]) == ("c", "a", True)


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"data": [1]}', b'{"data": [{}]}', b"\xff"])
def test_what_is_no_page_is_not_handed_out(body: bytes) -> None:
    with pytest.raises(ModelError):
        read_page(PATH, body)
