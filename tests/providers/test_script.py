"""Script files: what is wrong is named with its place and its cure."""

import json
import time
from pathlib import Path
from typing import Any
from unicodedata import normalize

import pytest

from helios.errors import UsageError
from helios.providers.simulator.content import PREFIX
from helios.providers.simulator.faults import Fault
from helios.providers.simulator.script import Conversation, load_script


def asked(
    text: str, *, turn: int = 1, model: str = "m", tools: tuple[str, ...] = ()
) -> Conversation:
    return Conversation(model, text, turn, frozenset(tools))


@pytest.mark.parametrize(
    ("text", "place", "cure"),
    [
        ("answers: []", "answers.yaml:1: answers: there are no answers", "Add"),
        ("about: x", "answers.yaml:1: 'answers' is missing", "answers"),
        ("", "answers.yaml:1: must be a mapping, not nothing", ""),
        ("answers: {}", "answers.yaml:1: answers: must be a list", ""),
        ("answers: [\n  {when: {contains: a}", "answers.yaml:3:1: not valid YAML", "Mend"),
        ("answers:\n\t- x", "answers.yaml:2:1", "Mend"),
        ("a: 2026-13-45", "answers.yaml: not valid YAML", "Mend"),
        (
            "answers:\n- when: {contains: a}\n  text: x\n- when: {contain: a}\n  text: x",
            "answers.yaml:4: answers[2].when.contain: unknown key 'contain'",
            "Did you mean 'contains'?",
        ),
        ("answers:\n- text: x", "answers.yaml:2: answers[1]: 'when' is missing", "when"),
        (
            "answers:\n- when: {contains: a}",
            "answers.yaml:2: answers[1]: needs `text`, or `tool` and `input`",
            "two forms",
        ),
        (
            "answers:\n- {when: {contains: a}, text: x, tool: t, input: {}}",
            "answers.yaml:2: answers[1]: needs",
            "",
        ),
        (
            "answers:\n- when: {contains: a}\n  text: 3",
            "answers.yaml:3: answers[1].text: must be a text, not 3",
            "quotes",
        ),
        (
            "answers:\n- when: {contains: a, turn: 0}\n  text: x",
            "answers.yaml:2: answers[1].when.turn: must be a whole number of at least 1",
            "",
        ),
        (
            "answers:\n- when: {contains: a, turn: true}\n  text: x",
            "answers[1].when.turn: must be a whole number",
            "",
        ),
        (
            "answers:\n- when: {contains: a}\n  tool: t\n  input: [1]",
            "answers.yaml:4: answers[1].input: must be a mapping, not a list",
            "",
        ),
        (
            "answers:\n- when: {contains: a}\n  tool: t\n  input: {day: 2026-11-01}",
            "answers.yaml:4: answers[1].input: cannot be written as JSON",
            "quotes",
        ),
        (
            "answers:\n- when: {contains: a}\n  text: x\n  fault: boom",
            "answers.yaml:4: answers[1].fault: unknown fault 'boom'",
            "429",
        ),
    ],
)
def test_a_wrong_script_names_place_and_cure(
    script_file: Any, text: str, place: str, cure: str
) -> None:
    with pytest.raises(UsageError) as caught:
        load_script(script_file(text))
    assert place in caught.value.message
    assert cure in caught.value.next_step


def test_a_missing_script_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nowhere\.yaml") as caught:
        load_script(tmp_path / "nowhere.yaml")
    assert caught.value.next_step


def test_a_script_that_is_not_utf8_is_named(tmp_path: Path) -> None:
    path = tmp_path / "cp949.yaml"
    path.write_bytes("answers: # 한글".encode("cp949"))
    with pytest.raises(UsageError, match="not UTF-8") as caught:
        load_script(path)
    assert "UTF-8" in caught.value.next_step


def test_a_byte_order_mark_does_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "bom.yaml"
    text = "answers: [{when: {contains: a}, text: x}]"
    path.write_bytes(text.encode("utf-8-sig"))
    assert load_script(path).find(asked("a")) is not None


def test_the_first_that_fits_wins(script_file: Any) -> None:
    script = load_script(
        script_file(
            """
answers:
  - {when: {contains: fix, turn: 2}, text: second turn}
  - {when: {contains: fix, model: opus}, text: opus}
  - {when: {contains: fix}, tool: patch, input: {a: 1}}
  - {when: {contains: fix}, text: any}
  - {when: {contains: ""}, text: rest}
"""
        )
    )

    def chosen(*args: Any, **options: Any) -> str:
        answer, fault = script.find(asked(*args, **options))
        assert fault is None
        block = answer.blocks[0]
        return block.name or block.text.removeprefix(PREFIX)

    assert chosen("fix", turn=2, model="opus") == "second turn"
    assert chosen("fix", turn=1, model="claude-opus-5-5", tools=("patch",)) == "opus"
    assert chosen("please fix it", tools=("patch", "other")) == "patch"
    assert chosen("please fix it", tools=("other",)) == "any"
    assert chosen("other") == "rest"


def test_faults_come_every_time_or_once_each(script_file: Any) -> None:
    script = load_script(
        script_file(
            """
answers:
  - {when: {contains: always}, fault: 529}
  - {when: {contains: listed}, text: x, fault: [429, cut]}
"""
        )
    )
    assert [script.find(asked("always"))[1] for _ in range(3)] == [Fault.OVERLOADED] * 3
    assert [script.find(asked("listed"))[1] for _ in range(4)] == [
        Fault.RATE_LIMITED,
        Fault.CUT,
        None,
        None,
    ]


def test_a_thousand_answers_are_searched_in_milliseconds(script_file: Any) -> None:
    entries = [
        {"when": {"contains": f"Task: number-{n};"}, "text": f"answer {n}"} for n in range(1000)
    ]
    script = load_script(script_file(json.dumps({"answers": entries})))
    text = "가나다 some code\n" * 5000 + "Task: number-999;"
    began = time.perf_counter()
    for _ in range(5):
        assert script.find(asked(text))[0].blocks[0].text == PREFIX + "answer 999"
    assert (time.perf_counter() - began) / 5 < 0.5


def test_the_answers_of_the_examples_can_be_read() -> None:
    examples = Path(__file__).parents[2] / "examples"
    scripts = sorted(examples.glob("*/answers.yaml"))
    assert scripts
    for path in scripts:
        load_script(path)


LOOP = """
answers:
  - {when: {contains: "", last: "끝", results: 2}, text: two results}
  - {when: {contains: go, system: "부장"}, text: chief}
  - when: {contains: go, results: 0}
    content:
      - thinking: hm
      - text: I look.
      - {tool: Bash, input: {command: ls}}
      - {tool: Read, input: {}}
  - {when: {contains: go}, text: "[simulated] rest"}
"""


def test_the_steps_of_a_loop_are_told_apart(script_file: Any) -> None:
    script = load_script(script_file(LOOP))

    def said(tools: tuple[str, ...] = ("Bash", "Read"), **more: Any) -> list[str]:
        answer, _ = script.find(Conversation("m", "go", 1, frozenset(tools), **more))
        return [block.name or block.text for block in answer.blocks]

    assert said() == ["hm", PREFIX + "I look.", "Bash", "Read"]
    assert said(("Bash",)) == [PREFIX + "rest"], "both tools must be offered"
    assert said(results=1) == [PREFIX + "rest"]
    assert said(results=2, last="이제 끝") == [PREFIX + "two results"]
    assert said(system=normalize("NFD", "나는 부장이다")) == [PREFIX + "chief"]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("{}", "answers[1].content: must be a list"),
        ("[{text: a, thinking: b}]", "answers[1].content[1]: must be one `text`"),
        ("[{text: a}, {tool: b}]", "answers[1].content[2]: must be one `text`"),
        ("[{txt: a}]", "unknown key 'txt'"),
    ],
)
def test_a_wrong_part_of_an_answer_names_its_place(
    script_file: Any, content: str, says: str
) -> None:
    with pytest.raises(UsageError) as caught:
        load_script(script_file(f"answers:\n- when: {{contains: a}}\n  content: {content}"))
    assert says in caught.value.message
