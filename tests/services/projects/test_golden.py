"""What `helios check` prints for mistakes people make, at 80 columns, to be read as it is."""

from textwrap import dedent

import pytest

from helios.errors import ProjectFileError
from helios.services.projects import parse_project, render


def shown(text: str) -> str:
    with pytest.raises(ProjectFileError) as caught:
        parse_project(dedent(text), file="helios.yaml", known_agents=("coder", "reviewer"), now=0.0)
    return render(caught.value.problems, width=80)


def expected(text: str) -> str:
    return dedent(text).strip("\n")


def test_a_misspelt_key() -> None:
    text = """\
        helios: 1
        name: Test
        tasks:
          fix:
            agent: coder
            promt: Mend it.
            run: make
        """
    assert shown(text) == expected(
        """
        helios.yaml:4:3: task "fix" has an agent but no prompt
              fix:
              ^^^
          Say in `prompt` what the agent is to do.

        helios.yaml:6:5: unknown key "promt"
                promt: Mend it.
                ^^^^^
          Did you mean "prompt"?

        helios.yaml:7:5: task "fix" has agent and run: only one can do it
                run: make
                ^^^
          Remove one, or make two tasks.
        """
    )


def test_an_unknown_agent() -> None:
    text = """\
        helios: 1
        name: Test
        tasks:
          fix: {agent: codr, prompt: Mend it.}
        """
    assert shown(text) == expected(
        """
        helios.yaml:4:16: unknown agent "codr"
              fix: {agent: codr, prompt: Mend it.}
                           ^^^^
          Did you mean "coder"?
        """
    )


def test_values_of_the_wrong_type() -> None:
    text = """\
        helios: 1
        name: Test
        tasks:
          fix:
            run: make
            files: 5
            priority: high
            timeout: 10 parsecs
        """
    assert shown(text) == expected(
        """
        helios.yaml:6:12: expected a list of texts, got a number (5)
                files: 5
                       ^

        helios.yaml:7:15: expected a whole number, got a text ("high")
                priority: high
                          ^^^^

        helios.yaml:8:14: expected seconds or a length of time such as 90s, 10m or 2h
                timeout: 10 parsecs
                         ^^^^^^^^^^
        """
    )


def test_a_task_defined_twice() -> None:
    text = """\
        helios: 1
        name: Test
        tasks:
          fix:
            run: make
          test:
            run: make test
          fix:
            run: make more
        """
    assert shown(text) == expected(
        """
        helios.yaml:8:3: duplicate key "fix": first on line 4, again on line 8
              fix:
              ^^^
          Remove one of the two.
        """
    )


def test_a_circle() -> None:
    text = """\
        helios: 1
        name: Test
        tasks:
          design: {run: x, needs: report}
          build: {run: x, needs: design}
          report: {action: report, needs: [build]}
        """
    assert shown(text) == expected(
        """
        helios.yaml:4:27: tasks wait for each other in a circle: design -> report -> build -> design
              design: {run: x, needs: report}
                                      ^^^^^^
          Remove one of these needs.
        """
    )


def test_an_unknown_need_in_korean() -> None:
    text = """\
        helios: 1
        name: Test
        tasks:
          설계: {run: make}
          구현:
            agent: coder
            prompt: 설계를 구현해 주세요
            needs: [설계, 설게]
        """
    assert shown(text) == expected(
        """
        helios.yaml:8:17: task "구현" needs "설게", which is no task
                needs: [설계, 설게]
                              ^^^^
        """
    )


def test_a_glob_without_a_match() -> None:
    text = """\
        helios: 1
        name: Test
        tasks:
          fix-a: {run: make}
          report:
            action: report
            needs: ["fix-*", "test-*"]
        """
    assert shown(text) == expected(
        """
        helios.yaml:7:22: the glob "test-*" matches no other task
                needs: ["fix-*", "test-*"]
                                 ^^^^^^^^
        """
    )


def test_a_tab() -> None:
    text = """\
        helios: 1
        name: Test
        tasks:
          fix:
        @TAB@run: make
        """.replace("@TAB@", "\t")
    assert shown(text) == expected(
        """
        helios.yaml:5:1: a tab in the indentation
                run: make
            ^^^^
          Indent with spaces only.
        """
    )


def test_a_glob_without_quotes() -> None:
    text = """\
        helios: 1
        name: Test
        tasks:
          fix:
            agent: coder
            prompt: Mend it.
            files: [src/a.py, **/*.py]
        """
    assert shown(text) == expected(
        """
        helios.yaml:7:23: a text that begins with * must be in quotes
                files: [src/a.py, **/*.py]
                                  ^^^^^^^
          Write "**/*.py" with the quotes.
        """
    )


def test_a_colon_in_a_korean_text() -> None:
    text = """\
        helios: 1
        name: Test
        goal: 목표: 모든 테스트를 통과시킨다
        tasks:
          fix: {run: make}
        """
    assert shown(text) == expected(
        """
        helios.yaml:3:9: a ": " inside a text that is not in quotes
            goal: 목표: 모든 테스트를 통과시킨다
                      ^
          Put the whole text in quotes.
        """
    )


def test_anchors_and_tags() -> None:
    text = """\
        helios: 1
        name: Test
        defaults: &d
          priority: 5
        tasks:
          fix: {run: make, gates: !shell x}
        """
    assert shown(text) == expected(
        """
        helios.yaml:3:11: anchors (&name) are not allowed
            defaults: &d
                      ^^
          Write the value out wherever it is needed.

        helios.yaml:6:27: tags (!name) are not allowed
              fix: {run: make, gates: !shell x}
                                      ^^^^^^^^
          Put a text that begins with ! in quotes.
        """
    )


def test_a_line_longer_than_the_terminal() -> None:
    text = """\
        helios: 1
        name: Test
        tasks:
          fix: {run: make 아주-긴-이름의-목표, files: [가.py, 나.py], priority: 40, retries: 2}
        """
    assert shown(text) == expected(
        """
        helios.yaml:4:63: "priority" must be at most 10, got 40
            ...ake 아주-긴-이름의-목표, files: [가.py, 나.py], priority: 40, retries: 2}
                                                                         ^^
        """
    )


def test_who_does_the_task() -> None:
    text = """\
        helios: 1
        name: Test
        tasks:
          fix: {agent: coder}
          test: {run: make, action: report}
          report: {needs: [fix, test]}
        """
    assert shown(text) == expected(
        """
        helios.yaml:4:3: task "fix" has an agent but no prompt
              fix: {agent: coder}
              ^^^
          Say in `prompt` what the agent is to do.

        helios.yaml:5:21: task "test" has run and action: only one can do it
              test: {run: make, action: report}
                                ^^^^^^
          Remove one, or make two tasks.

        helios.yaml:6:3: task "report" has no agent, run or action
              report: {needs: [fix, test]}
              ^^^^^^
          Give it exactly one of the three.
        """
    )


def test_places_and_twins_of_each() -> None:
    text = """\
        helios: 1
        name: Test
        tasks:
          fix:
            run: mend {item.fil} {item}
            each:
              - {file: a.py}
              - {file: b.py}
              - {file: a.py}
        """
    assert shown(text) == expected(
        """
        helios.yaml:5:10: {item.fil}: the values of `each` have no such key
                run: mend {item.fil} {item}
                     ^^^^^^^^^^^^^^^^^^^^^^
          Did you mean "file"?

        helios.yaml:5:10: {item} is a mapping here: say which value
                run: mend {item.fil} {item}
                     ^^^^^^^^^^^^^^^^^^^^^^
          There are {item.file}.

        helios.yaml:6:5: two tasks would have the id "fix-a.py"
                each:
                ^^^^
          Make the values of `each` differ in letters or digits.
        """
    )


def test_the_frame_of_the_file() -> None:
    text = """\
        nome: Test
        language: fr
        repo: {path: ., snapshot: ./code}
        budget: {strong_share: 25}
        tasks: {}
        """
    assert shown(text) == expected(
        """
        helios.yaml: the key "helios" is missing
          Write `helios: 1` on the first line.

        helios.yaml: the key "name" is missing

        helios.yaml:1:1: unknown key "nome"
            nome: Test
            ^^^^
          Did you mean "name"?

        helios.yaml:2:11: unknown language "fr"
            language: fr
                      ^^
          Known: en, ko.

        helios.yaml:3:1: `repo` takes exactly one of path and snapshot, got both
            repo: {path: ., snapshot: ./code}
            ^^^^
          `path` is a checkout to work in, `snapshot` a folder to copy.

        helios.yaml:4:24: "strong_share" must be at most 1, got 25
            budget: {strong_share: 25}
                                   ^^
          A share is a number from 0 to 1.

        helios.yaml:5:8: there are no tasks
            tasks: {}
                   ^^
          Add at least one under `tasks`.
        """
    )
