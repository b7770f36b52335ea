"""Names that mean something elsewhere, models without a price, roles that are gone."""

import json
import urllib.request
from pathlib import Path

import pytest

from helios.config import load_settings, sqlite_url
from tests.cli.test_commands import project
from tests.e2e.helios_process import Helios

FILE = """helios: 1
name: 어려운 일
answers: answers.yaml
tasks:
  값: {agent: coder, prompt: 고쳐, model: foo-bar}
  일: {run: "true"}
"""
ROLE = "---\nname: 내것\n---\n고친다.\n"


def folder(at: Path, text: str) -> Path:
    (at / "answers.yaml").write_text("answers: [{when: {contains: x}, text: x}]", "utf-8")
    return project(at, text)


def test_a_home_may_have_any_name(tmp_path: Path) -> None:
    home = tmp_path / "집 ? #1 %41 a@b:c & 'x'"
    file = project(tmp_path, "helios: 1\nname: x\ntasks: {일: {run: 'true'}}\n")
    helios = Helios(home, sandbox="direct")
    ended = helios.run("run", str(file), "--json")
    assert ended.code == 0, ended.err + ended.out
    assert helios.rows("select state from runs") == [("done",)]
    assert list(home.glob("runs/*/engine.db"))
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == [home.name]
    assert load_settings({"home": home}, {}).database_url == sqlite_url(home / "helios.db")


def test_check_and_plan_point_at_a_model_without_a_price(tmp_path: Path) -> None:
    helios = Helios(tmp_path / "집")
    file = folder(tmp_path, FILE)
    for verb in ("check", "plan"):
        told = helios.run(verb, str(file))
        assert told.code == 3
        assert ':5:40: no price is known for the model "foo-bar"' in told.err
        assert "`prices`" in told.err
    prices = tmp_path / "prices.yaml"
    price = "{from: 2020-01-01, input: 1, output: 1, cache_write: 1, cache_read: 1}"
    prices.write_text(f"models: {{foo-bar: {{tier: economy, prices: [{price}]}}}}", "utf-8")
    knows = Helios(tmp_path / "집", more={"HELIOS_PRICES": str(prices)})
    assert knows.run("check", str(file)).code == 0


@pytest.mark.parametrize(("strong", "cheap", "code"), [(20, 0, 4), (1, 24, 0)])
def test_a_plan_holds_the_strong_models_dollars_against_their_share(
    tmp_path: Path, strong: int, cheap: int, code: int
) -> None:
    models = ["claude-opus-5-5"] * strong + ["claude-sonnet-5-5"] * cheap
    text = FILE.partition("tasks:")[0] + "budget: {cost_usd: 2, strong_share: 0.2}\ntasks:\n"
    for number, model in enumerate(models):
        text += f"  일-{number}: {{agent: coder, prompt: 고쳐, model: {model}}}\n"
    told = Helios(tmp_path / "집").run("plan", str(folder(tmp_path, text)), "--json")
    assert told.code == code, told.data["verdict"]
    assert ("strong share of this run" in told.data["verdict"]) is (code == 4)
    assert told.data["cost_usd"]["p50"] > 0.2 * 2


def test_a_model_without_a_price_ends_its_task_and_no_other(tmp_path: Path) -> None:
    helios = Helios(tmp_path / "집", sandbox="direct")
    ended = helios.run("run", str(folder(tmp_path, FILE)), "--json")
    assert ended.lines[-1]["event"] == "summary", ended.err
    states = dict(helios.rows("select id, state from tasks"))
    assert (ended.code, states) == (1, {"값": "failed", "일": "done"})
    ((reason,),) = helios.rows("select reason from tasks where id = '값'")
    assert "no price is known for model 'foo-bar'" in reason


def test_a_role_that_is_gone_ends_its_task_and_no_other(tmp_path: Path) -> None:
    role = tmp_path / ".claude" / "agents" / "내것.md"
    role.parent.mkdir(parents=True)
    role.write_text(ROLE, "utf-8")
    head = FILE.partition("  값")[0]
    both = f"{head}  일: {{run: 'true'}}\n  값: {{agent: 내것, prompt: 고쳐}}\n"
    file = folder(tmp_path, both)
    helios = Helios(tmp_path / "집", sandbox="direct")
    paused = helios.run("budget", "throttle", "paused")
    assert paused.code == 0
    assert helios.run("run", str(file), "--json", "--no-wait").code == 4
    role.unlink()
    assert ':6:14: unknown agent "내것"' in helios.run("check", str(file)).err
    file.write_text(f"{head}  일: {{run: 'true'}}\n", "utf-8")
    assert helios.run("status", str(file), "--json").code == 0
    ended = helios.run("resume", str(file), "--json")
    assert ended.code == 1, ended.err
    assert dict(helios.rows("select id, state from tasks")) == {"값": "failed", "일": "done"}
    ((reason,),) = helios.rows("select reason from tasks where id = '값'")
    assert "there is no agent '내것'" in reason
    assert "Traceback" not in ended.err
    assert helios.run("why", "값", str(file), "--json").code == 0


@pytest.mark.parametrize("words", [["rnu", "--json"], ["run", "없는.yaml", "--json=true"]])
def test_with_json_every_line_is_a_document(tmp_path: Path, words: list[str]) -> None:
    told = Helios(tmp_path / "집").run(*words)
    assert told.code in (2, 3)
    assert told.err == ""
    assert [line["schema"] for line in told.lines] == [1]


def test_the_top_of_a_server_says_where_everything_is(tmp_path: Path) -> None:
    process = Helios(tmp_path / "집").start("serve", "--port", "0", "--json")
    try:
        assert process.stdout
        url = json.loads(process.stdout.readline())["url"]
        with urllib.request.urlopen(url, timeout=10) as answer:
            told = json.load(answer)
        assert told["gateway"] == f"export ANTHROPIC_BASE_URL={url}"
        for place in ("docs", "openapi", "health", "budget"):
            with urllib.request.urlopen(told[place], timeout=10) as answer:
                assert answer.status == 200
        head = urllib.request.Request(f"{url}/", method="HEAD")
        with urllib.request.urlopen(head, timeout=10) as answer:
            assert "x-helios-request-id" in answer.headers, "the gateway answers HEAD"
    finally:
        process.terminate()
        process.communicate(timeout=20)
