"""Whose work a request is, by its headers."""

import pytest

from helios.domain.gateway.key import LOCAL, GatewayKey, Policy
from helios.server.gateway.attribution import Attribution, attribute
from helios.server.gateway.incoming import Incoming

KEY = GatewayKey("ci", "acme/ci", (), 0, Policy.OFF, 0.0)


def whose(key: GatewayKey = KEY, **headers: bytes) -> Attribution | str:
    named = [(name.replace("_", "-").encode(), value) for name, value in headers.items()]
    scope = {"method": "POST", "path": "/v1/messages", "query_string": b"", "headers": named}
    return attribute(Incoming.of(scope), key, "")


@pytest.mark.parametrize("written", ["가게/앱".encode(), b"%EA%B0%80%EA%B2%8C/%EC%95%B1"])
def test_a_name_may_be_utf_8_or_percent_encoded(written: bytes) -> None:
    found = whose(x_helios_project=written, x_helios_task=b"%ED%95%A0 100%")
    assert isinstance(found, Attribution)
    assert (found.account, found.task) == ("acme/ci/가게/앱", "할 100%")


def test_projects_of_two_keys_with_one_name_are_two_projects() -> None:
    ours, anybodys = whose(x_helios_project=b"shop"), whose(LOCAL, x_helios_project=b"shop")
    assert isinstance(ours, Attribution)
    assert isinstance(anybodys, Attribution)
    assert (ours.project, anybodys.project) == ("acme/ci/shop", "shop")


@pytest.mark.parametrize("written", [b"..", b"%2e%2e", b"%2F", b"a%00b", b"shop/%2e%2e/other"])
def test_no_encoding_leads_out_of_a_keys_account(written: bytes) -> None:
    found = whose(x_helios_project=written)
    assert isinstance(found, str)
    assert found.startswith("x-helios-project: ")
