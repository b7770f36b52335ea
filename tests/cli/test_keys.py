"""`helios keys`, as a user meets it."""

import asyncio
import re
from dataclasses import replace
from pathlib import Path

import pytest
from rich.cells import cell_len

from helios.domain.gateway.key import Reason, Refused
from helios.services.access import Access, Admitted
from helios.stores.open import open_stores
from helios.telemetry.system_clock import SystemClock
from tests.e2e.helios_process import Helios

SECRET = re.compile(r"hel_[A-Za-z0-9_-]{43}")


@pytest.fixture
def helios(tmp_path: Path) -> Helios:
    return Helios(tmp_path / "home", sandbox="direct")


def admitted(helios: Helios, *asked: tuple[str, str]) -> list[Admitted | Refused]:
    """What the gateway answers to these secrets, asking these models."""

    async def ask() -> list[Admitted | Refused]:
        stores = open_stores(f"sqlite:///{helios.home}/helios.db", SystemClock())
        access = Access(stores.keys, SystemClock())
        answers = [await access.admit(secret, model) for secret, model in asked]
        await access.close()
        await stores.close()
        return answers

    return asyncio.run(ask())


def test_a_key_is_made_used_listed_and_revoked(helios: Helios) -> None:
    made = helios.run("keys", "create", "ci", "--budget", "5usd/day", "--models", "claude-haiku-*",
                      "claude-sonnet-5-5", "--rate", "60", "--expires", "30d")  # fmt: skip
    assert made.code == 0, made.err
    secret = made.out.removesuffix("\n")
    assert SECRET.fullmatch(secret), "stdout is the secret alone"
    assert secret not in made.err
    assert "export ANTHROPIC_BASE_URL=http://127.0.0.1:8002\n" in made.err
    assert "export ANTHROPIC_API_KEY=" in made.err
    assert "account keys/ci, at most $5.00 per day" in made.err
    limits = {g["key"]: g for g in helios.run("budget", "--json").data["limits"]}
    assert limits["simulated/account/keys/ci/ci/microusd"]["cap"] == 5_000_000

    haiku, opus = admitted(helios, (secret, "claude-haiku-5-5"), (secret, "claude-opus-5-5"))
    assert isinstance(haiku, Admitted)
    assert isinstance(opus, Refused)
    assert opus.reason is Reason.MODEL
    (told,) = helios.run("keys", "list", "--json").data["keys"]
    assert told["models"] == ["claude-haiku-*", "claude-sonnet-5-5"]
    assert (told["account"], told["calls_per_minute"], told["policy"], told["state"]) == (
        "keys/ci", 60, "off", "live",
    )  # fmt: skip
    assert told["expires_at"] - told["created_at"] == pytest.approx(30 * 86_400, abs=60)
    assert told["last_used_at"] >= told["created_at"]

    ended = helios.run("keys", "revoke", "ci")
    assert ended.code == 0, ended.err
    (refused,) = admitted(helios, (secret, "claude-haiku-5-5"))
    assert isinstance(refused, Refused)
    assert refused.reason is Reason.REVOKED
    again = helios.run("keys", "create", "ci", "--account", "acme/웹", "--policy", "enforce")
    assert again.code == 0, again.err
    states = [(k["state"], k["policy"]) for k in helios.run("keys", "list", "--json").data["keys"]]
    assert states == [("revoked", "off"), ("live", "enforce")]


def test_the_list_fits_and_shows_no_secret(helios: Helios) -> None:
    nothing = helios.run("keys", "list")
    assert nothing.code == 0
    assert "no keys yet" in nothing.out
    assert helios.run("keys", "list", "--json").data == {"schema": 1, "keys": []}
    long = "아주-긴-이름의-열쇠-" * 4
    secrets = []
    for words in (
        ["지훈-노트북", "--models", "claude-*", "--rate", "1000000", "--policy", "advise"],
        [long, "--account", "회사/모바일/쇼핑몰-개선/지훈"],
        ["bot@acme", "--expires", "1s"],
    ):
        made = helios.run("keys", "create", *words, "--json")
        assert made.code == 0, made.out + made.err
        assert made.err == ""
        secrets.append(made.data["secret"])
        assert made.data["name"] == words[0]
    admitted(helios, (secrets[0], "claude-opus-5-5"))
    shown = helios.run("keys", "list")
    assert max(cell_len(line) for line in shown.out.splitlines()) <= 80
    for word in ("지훈-노트북", "1000000/min", "advise", "live", "never", "20"):
        assert word in shown.out, shown.out
    assert not SECRET.search(shown.out + helios.run("keys", "list", "--json").out)
    narrow = replace(helios, more={"COLUMNS": "40"}).run("keys", "list")
    assert narrow.code == 0


def test_an_expired_key_says_so(helios: Helios) -> None:
    made = helios.run("keys", "create", "ci", "--expires", "0.001s")
    assert made.code == 0, made.err
    (refused,) = admitted(helios, (made.out.strip(), "claude-haiku-5-5"))
    assert isinstance(refused, Refused)
    assert refused.reason is Reason.EXPIRED
    assert "expired" in helios.run("keys", "list").out


def test_a_name_is_taken_and_a_ceiling_stays_as_it_is(helios: Helios) -> None:
    first = helios.run("keys", "create", "ci", "--budget", "5usd/day")
    assert first.code == 0, first.err
    second = helios.run("keys", "create", "ci", "--budget", "900usd/day")
    assert second.code == 7
    assert second.out == ""
    assert "'ci' already" in second.err
    assert "helios keys revoke ci" in second.err
    limits = {g["key"]: g for g in helios.run("budget", "--json").data["limits"]}
    assert limits["simulated/account/keys/ci/ci/microusd"]["cap"] == 5_000_000


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["create", "a b"], "'a b' must be"),
        (["create", "a/b"], "'a/b' must be"),
        (["create", ""], "must be"),
        (["create", "ci", "--account", "a//b"], "--account: 'a//b' must be"),
        (["create", "ci", "--account", "/".join("abcdefghi")], "deeper than 8"),
        (["create", "ci", "--models", "claude-opuss"], "mean claude-opus-5-5"),
        (["create", "ci", "--models", "claude-*", "모델"], "'모델': no model"),
        (["create", "ci", "--models", "claude-quux-*"], "'claude-quux-*': no model"),
        (["create", "ci", "--models", "openai:gpt-5-mini"], "no model"),
        (["create", "ci", "--models", ""], "no model"),
        (["create", "ci", "--models"], "--models names none"),
        (["create", "ci", "--models", "--rate", "5"], "--models names none"),
        (["create", "ci", "--rate", "0"], "--rate 0"),
        (["create", "ci", "--rate", "-3"], "--rate -3"),
        (["create", "ci", "--rate", "1000000000"], "1000000000 calls a minute"),
        (["create", "ci", "--rate", "many"], "many"),
        (["create", "ci", "--policy", "always"], "always"),
        (["create", "ci", "--expires", "soon"], "--expires 'soon'"),
        (["create", "ci", "--expires", "2020-01-01T00:00:00Z"], "is over"),
        (["create", "ci", "--expires", "2099-01-01"], "offset"),
        (["create", "ci", "--expires", "999d"], "366d"),
        (["create", "ci", "--budget", "5/day"], "--budget '5/day'"),
        (["create", "ci", "--budget", "5usd"], "--budget '5usd'"),
        (["create", "ci", "--budget", "5usd/fortnight"], "periods: ever, 5h, day"),
        (["create", "ci", "--budget", "0usd/day"], "not possible"),
        (["create", "ci", "--budget", f"{'9' * 400}usd/day"], "not possible"),
        (["create", "ci", "--budget", "-5usd/day"], "--budget '-5usd/day' is not possible"),
        (["create", "ci", "--budget", "1.5messages/day"], "'1.5messages/day' is not possible"),
        (["create", "ci", "--budget", "5usd/day", "--account", ""], "everybody"),
        (["revoke", "없음"], "no key '없음'"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_made(
    helios: Helios, words: list[str], said: str
) -> None:
    refused = helios.run("keys", *words)
    assert refused.code == 2, refused.out + refused.err
    assert said in refused.err
    assert "Traceback" not in refused.err
    assert refused.out == ""
    if (helios.home / "helios.db").exists():
        assert helios.rows("select * from gateway_keys") == []
        assert helios.rows("select * from budget_limits") == []


def test_a_wrong_name_is_told_the_close_ones(helios: Helios) -> None:
    assert helios.run("keys", "create", "빌드-서버").code == 0
    refused = helios.run("keys", "revoke", "빌드-서버2")
    assert refused.code == 2
    assert "Did you mean 빌드-서버?" in refused.err
