"""What cannot work is said at start: a provider that is none, a key that is missing or is none."""

import json
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.cli.test_commands import SMALL, project
from tests.e2e.helios_process import Helios

TOKEN = "sk-ant-oat01-가짜"

WRONG = {
    "a typo": ({"HELIOS_PROVIDER": "antropic"}, "there is no provider 'antropic'", "Known: anthr"),
    "no key": ({"HELIOS_PROVIDER": "anthropic"}, "anthropic needs a key", "ANTHROPIC_API_KEY"),
    "another's": ({"HELIOS_PROVIDER": "openai"}, "openai needs a key", "OPENAI_API_KEY"),
    "a subscription": ({"ANTHROPIC_API_KEY": TOKEN}, "token of a Claude subscription", "Set ANTH"),
    "a subscription, beside": (
        {"HELIOS_PROVIDER": "ollama", "HELIOS_API_KEY": TOKEN},
        "token of a Claude subscription",
        "docs/subscriptions.md",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_serve_does_not_start_and_doctor_says_why(tmp_path: Path, case: str) -> None:
    settings, wrong, cure = WRONG[case]
    helios = Helios(tmp_path / "집", sandbox="direct", more=settings)
    refused = helios.run("serve", "--port", "0")
    assert refused.code == 2
    assert wrong in refused.err
    assert cure in " ".join(refused.err.split())
    told = helios.run("doctor", "--json")
    (finding,) = [f for f in told.data["findings"] if f["what"] == "model provider"]
    assert (told.code, finding["verdict"]) == (1, "bad")
    assert wrong in finding["found"]
    assert cure in finding["cure"]
    assert TOKEN not in refused.err + told.out


def test_a_run_refuses_the_token_of_a_subscription(tmp_path: Path) -> None:
    helios = Helios(tmp_path / "집", sandbox="direct", more={"ANTHROPIC_API_KEY": TOKEN})
    refused = helios.run("run", str(project(tmp_path, SMALL)))
    assert refused.code == 2
    assert "token of a Claude subscription" in refused.err


def test_a_server_without_a_gateway_says_so_at_start_and_at_the_door(tmp_path: Path) -> None:
    more = {"HELIOS_PROVIDER": "ollama"}
    process = Helios(tmp_path / "집", more=more).start("serve", "--port", "0", "--json")
    try:
        assert process.stdout
        started = json.loads(process.stdout.readline())
        assert (started["simulated"], started["gateway"]) == (False, False)
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(f"{started['url']}/v1/models", timeout=10)
        assert refused.value.code == 503
        assert json.load(refused.value)["error"]["message"] == started["because"]
        assert "Anthropic's API alone" in started["because"]
        with urllib.request.urlopen(f"{started['url']}/api/health", timeout=10) as answer:
            assert answer.status == 200
    finally:
        process.terminate()
        process.communicate(timeout=30)


def test_people_are_told_at_start_that_the_gateway_is_closed(tmp_path: Path) -> None:
    helios = Helios(tmp_path / "집", more={"HELIOS_PROVIDER": "ollama"})
    process = helios.start("serve", "--port", "0")
    try:
        assert process.stdout
        process.stdout.readline()
    finally:
        process.terminate()
    _, said = process.communicate(timeout=30)
    assert "the HTTP API runs on ollama; the gateway is closed" in said


@pytest.mark.parametrize("words", [["keys", "list"], ["budget"], ["doctor"]])
def test_a_home_that_cannot_be_made_is_a_clear_error(tmp_path: Path, words: list[str]) -> None:
    (tmp_path / "파일").write_text("", encoding="utf-8")
    helios = Helios(tmp_path / "파일" / "집", more={"HELIOS_CONFIG": str(tmp_path / "없음")})
    refused = helios.run(*words, "--json")
    assert "Traceback" not in refused.err
    if words == ["doctor"]:
        told = json.dumps(refused.data["findings"], ensure_ascii=False)
        assert "cannot be made" in told
    else:
        assert (refused.code, refused.data["error"]) == (2, "usage")
        assert "파일/집" in refused.data["message"]
        assert "HELIOS_HOME" in refused.data["next_step"]


def test_a_run_without_a_home_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "파일").write_text("", encoding="utf-8")
    helios = Helios(tmp_path / "파일" / "집", more={"HELIOS_CONFIG": str(tmp_path / "없음")})
    refused = helios.run("run", str(project(tmp_path, SMALL)), "--json")
    assert (refused.code, refused.data["error"]) == (2, "usage")
