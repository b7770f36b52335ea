"""Every no is told in the API's form, and in a way that makes each client do the right thing."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helios import errors
from helios.domain.budget.ledger import BRAKE, Admission
from helios.domain.budget.zones import Zone
from helios.domain.gateway import refusal
from helios.domain.gateway.refusal import Refusal, in_place_of, no_room, of_error

NOW = 1_000_000.0
NEVER_401 = (400, 402, 403, 404, 413, 429, 502, 503, 529)


def denied(
    *, binding: str = "limit", resets_at: float | None = None, waits: bool = False
) -> Refusal:
    admission = Admission(
        granted=False,
        zone=Zone.CRITICAL,
        reason="예산이 부족합니다",
        binding=binding,
        resets_at=resets_at,
        waits=waits,
    )
    return no_room(admission, NOW)


def told(said: Refusal) -> tuple[int, str, dict[str, str]]:
    return said.status, said.kind, {name.decode(): value.decode() for name, value in said.headers}


def test_a_limit_that_never_resets_is_a_matter_of_billing() -> None:
    for never in (None, math.inf, math.nan):
        assert told(denied(resets_at=never)) == (402, "billing_error", {"x-should-retry": "false"})


def test_a_closed_window_says_when_it_opens_and_that_clients_must_not_wait_for_it() -> None:
    assert told(denied(resets_at=NOW + 3600.2)) == (
        429,
        "rate_limit_error",
        {"retry-after": "3601", "x-should-retry": "false"},
    )


@pytest.mark.parametrize(("wait", "seconds"), [(60.0, "60"), (0.1, "1"), (0.0, "1"), (-9.0, "1")])
def test_a_short_wait_is_left_to_the_client(wait: float, seconds: str) -> None:
    assert told(denied(resets_at=NOW + wait)) == (
        429,
        "rate_limit_error",
        {"retry-after": seconds, "x-should-retry": "true"},
    )


def test_room_that_is_only_held_is_worth_asking_again_soon() -> None:
    for resets_at in (None, NOW + 9999):
        status, _, headers = told(denied(resets_at=resets_at, waits=True))
        assert (status, headers) == (429, {"retry-after": "2", "x-should-retry": "true"})


def test_a_brake_set_by_hand_is_no_matter_of_billing() -> None:
    status, kind, headers = told(denied(binding=BRAKE))
    assert (status, kind, headers) == (429, "rate_limit_error", {"x-should-retry": "false"})


def test_a_brake_that_ends_by_itself_says_when() -> None:
    said = denied(binding=BRAKE, resets_at=NOW + 30)
    assert told(said)[2] == {"retry-after": "30", "x-should-retry": "true"}
    assert "for 30 s more: 예산이 부족합니다. Lift it" in said.message


@pytest.mark.parametrize(
    ("wait_s", "words"),
    [
        (-5, "1 s"),
        (59.1, "60 s"),
        (61, "2 min"),
        (7140, "119 min"),
        (7141, "2 h 0 min"),
        (48 * 3600, "2 d 0 h"),
        (80 * 3600, "3 d 8 h"),
    ],
)
def test_how_long_until_it_resets_is_said_in_words(wait_s: float, words: str) -> None:
    assert denied(resets_at=NOW + wait_s).message.endswith(f" It resets in {words}.")


def test_what_fits_no_window_is_told_how_to_become_smaller() -> None:
    said = refusal.never_fits("월간: needs $9")
    assert told(said) == (402, "billing_error", {"x-should-retry": "false"})
    assert "월간: needs $9. Ask for less" in said.message


def test_another_method_is_told_which_are_taken() -> None:
    said = refusal.no_such_method("PATCH" * 9, "GET, POST")
    assert told(said) == (405, "invalid_request_error", {"allow": "GET, POST"})
    assert len(said.message) < 70


def test_the_body_is_the_apis_and_says_why_in_any_language() -> None:
    data = json.loads(denied().body("req_1"))
    assert data == {
        "type": "error",
        "error": {
            "type": "billing_error",
            "message": "Helios's budget has no room: 예산이 부족합니다. "
            "Raise the ceiling: helios budget set.",
        },
        "request_id": "req_1",
    }
    event = denied().as_sse_error("req_1")
    assert event.startswith(b"event: error\ndata: {")
    assert event.endswith(b"}\n\n")
    assert json.loads(event.split(b"data: ")[1]) == data


@pytest.mark.parametrize(
    ("said", "status", "kind", "again"),
    [
        (refusal.not_allowed("no"), 403, "permission_error", "false"),
        (refusal.bad_request("no"), 400, "invalid_request_error", "false"),
        (refusal.no_such_path("/v1/x"), 404, "not_found_error", None),
        (refusal.too_large(32_000_000), 413, "request_too_large", "false"),
        (refusal.too_soon("slower", 12), 429, "rate_limit_error", "true"),
        (refusal.store_down("gone"), 503, "api_error", "true"),
        (refusal.unreachable("gone"), 502, "api_error", None),
        (refusal.overloaded("resting", 8.5), 529, "overloaded_error", "true"),
    ],
)
def test_other_refusals(said: Refusal, status: int, kind: str, again: str | None) -> None:
    assert told(said)[:2] == (status, kind)
    assert told(said)[2].get("x-should-retry") == again


def test_a_path_is_shown_only_when_it_can_be() -> None:
    assert "/v1/메시지" in refusal.no_such_path("/v1/메시지").message
    assert "\n" not in refusal.no_such_path("/v1/\r\nx").message


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.RequestRefused("m", billed="no"), 400),
        (errors.UnknownPrice("m"), 400),
        (errors.BudgetExhausted("m", resets_at=None), 402),
        (errors.BudgetExhausted("m", resets_at=math.inf), 402),
        (errors.BudgetExhausted("m", resets_at=NOW + 90), 429),
        (errors.RateLimited("m", billed="no"), 429),
        (errors.RateLimited("m", billed="no", retry_after_s=7), 429),
        (errors.Overloaded("m", billed="no"), 529),
        (errors.StoreError("m"), 503),
        (errors.ConnectionLost("m", billed="unknown"), 502),
        (errors.HeliosError("m"), 502),
    ],
)
def test_errors_of_helios(error: errors.HeliosError, status: int) -> None:
    assert of_error(error, NOW).status == status


def test_the_cure_is_told_with_the_error() -> None:
    error = errors.UnknownPrice("no price for 'x'", next_step="Known models: a.")
    assert of_error(error, NOW).message == "no price for 'x'. Known models: a."


@given(st.text(), st.floats(), st.text(), st.booleans())
def test_any_reason_is_told_and_headers_stay_safe(
    reason: str, resets_at: float, request_id: str, waits: bool
) -> None:
    admission = Admission(
        granted=False, zone=Zone.NORMAL, reason=reason, resets_at=resets_at, waits=waits
    )
    said = no_room(admission, NOW)
    assert said.status in NEVER_401
    assert json.loads(said.body(request_id))["type"] == "error"
    assert said.as_sse_error(request_id).count(b"\n") == 3
    for name, value in said.headers:
        assert name.islower()
        assert value.decode("ascii").isalnum()
        assert name != b"retry-after" or 1 <= int(value) <= 365 * 24 * 3600


def test_a_ping_is_an_event() -> None:
    assert refusal.PING == b'event: ping\ndata: {"type": "ping"}\n\n'


@pytest.mark.parametrize(
    ("status", "cure"),
    [(401, "ANTHROPIC_API_KEY"), (301, "ANTHROPIC_BASE_URL"), (307, "ANTHROPIC_BASE_URL")],
)
def test_what_is_meant_for_helios_is_told_as_502_with_its_cure(status: int, cure: str) -> None:
    said = in_place_of(status)
    assert said
    assert told(said) == (502, "api_error", {"x-should-retry": "false"})
    assert cure in said.message


def test_all_other_answers_go_to_the_client() -> None:
    ours = [status for status in range(100, 600) if in_place_of(status)]
    assert ours == [*range(300, 400), 401]
