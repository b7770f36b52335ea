"""The project file `helios init` begins with: small, complete, every key explained beside it."""

import json

from helios.services.projects.file_model import LONGEST_NAME

_NAME = "@NAME@"

_ENGLISH = """\
# A project for Helios. `helios check` says whether it is right, `helios plan` what it would take,
# without a single model call, and `helios run` runs it.

helios: 1                 # version of this format
name: @NAME@
goal: Make every test pass without changing what the tests expect.
language: en              # language of reports and agents: en or ko
repo: .                   # the Git checkout to work in, seen from this file
# repo: {snapshot: ./folder}   # or a folder to copy into a new repository
parallel: 4               # most tasks at the same time, 1 to 64

budget:                   # this project's own ceilings; leave one out for none
  messages: 40            # model calls
  cost_usd: 5.0           # US dollars
  strong_share: 0.3       # largest share of the calls for strong models, 0 to 1
  # account: acme/mobile  # whose limits count besides (see `helios budget set`)

# models:                 # a model of your choice for a tier
#   economy: NAME         # tiers: economy, standard, strong, frontier

defaults:                 # for every task that says nothing else
  priority: 5             # 1 to 10; 10 goes first
  retries: 3              # attempts after the first, 0 to 10
  escalate_after: 2       # failures of a model before a stronger one is asked
  timeout: 10m            # for one attempt: seconds, or 90s, 10m, 2h
  gates:                  # commands that must succeed before an agent's work is taken
    - run: python -m pytest -q
      timeout: 5m

tasks:                    # an id, then exactly one of: agent, run, action
  compile:                # run: a command in the sandbox
    run: python -m compileall -q .

  fix:                    # agent: who does it; prompt: what is asked
    agent: coder
    needs: compile        # a task, a list of tasks, or a glob such as "fix-*"
    files:                # what the agent reads
      - "**/*.py"
    editable:             # what it may change; without it the same as files
      - "src/**/*.py"
    prompt: |
      Run the tests, find the cause of each failure and mend it.
      Change as little as you can.
    messages: 4           # how many model calls it will take, as you expect
    # model: strong       # a tier or a model's name; without it the router chooses
    # deadline: 2h        # from the start, or a date such as 2027-01-31T18:00:00+09:00
    # each: [parser, cli] # makes fix-parser and fix-cli; {item} in the texts is the value

  review:
    agent: reviewer
    needs: fix
    files: ["**/*.py"]
    editable: []          # reads only
    gates: []             # none of the gates above
    priority: 6
    prompt: Is each change correct, small and clear? Name what must be better.

  merge:
    action: merge         # what Helios does itself: analyse, merge or report
    needs: review

  report:
    action: report
    needs: "*"            # all other tasks
"""

_KOREAN = """\
# Helios 프로젝트 파일입니다. `helios check`는 파일이 올바른지 알려 주고, `helios plan`은
# 모델을 부르지 않고 무엇이 얼마나 드는지 보여 주며, `helios run`은 실제로 실행합니다.

helios: 1                 # 이 형식의 버전
name: @NAME@
goal: 테스트가 기대하는 결과를 바꾸지 않고 모든 테스트를 통과시킨다.
language: ko              # 보고서와 에이전트의 언어: en 또는 ko
repo: .                   # 작업할 Git 저장소, 이 파일이 있는 곳을 기준으로 적습니다
# repo: {snapshot: ./folder}   # 또는 새 저장소로 복사할 폴더
parallel: 4               # 동시에 실행할 작업의 최대 개수, 1부터 64까지

budget:                   # 이 프로젝트만의 상한; 빼면 상한이 없습니다
  messages: 40            # 모델 호출 횟수
  cost_usd: 5.0           # 미국 달러
  strong_share: 0.3       # 강한 모델이 차지할 수 있는 최대 비율, 0부터 1까지
  # account: acme/mobile  # 함께 적용할 상한을 가진 계정 (`helios budget set`)

# models:                 # 등급마다 쓸 모델을 직접 고를 때
#   economy: NAME         # 등급: economy, standard, strong, frontier

defaults:                 # 따로 적지 않은 모든 작업에 적용됩니다
  priority: 5             # 1부터 10까지; 10이 가장 먼저입니다
  retries: 3              # 첫 시도 뒤에 다시 시도하는 횟수, 0부터 10까지
  escalate_after: 2       # 모델이 이만큼 실패하면 더 강한 모델을 부릅니다
  timeout: 10m            # 한 번의 시도에 주는 시간: 초, 또는 90s, 10m, 2h
  gates:                  # 에이전트의 결과를 받아들이기 전에 성공해야 하는 명령
    - run: python -m pytest -q
      timeout: 5m

tasks:                    # 작업의 이름, 그리고 agent, run, action 가운데 하나
  compile:                # run: 샌드박스에서 실행할 명령
    run: python -m compileall -q .

  fix:                    # agent: 누가 하는지; prompt: 무엇을 부탁하는지
    agent: coder
    needs: compile        # 먼저 끝나야 하는 작업: 하나, 목록, 또는 "fix-*" 같은 패턴
    files:                # 에이전트가 읽는 파일
      - "**/*.py"
    editable:             # 바꿔도 되는 파일; 없으면 files와 같습니다
      - "src/**/*.py"
    prompt: |
      테스트를 실행하고, 실패하는 원인을 하나씩 찾아 고쳐 주세요.
      꼭 필요한 만큼만 바꿔 주세요.
    messages: 4           # 예상하는 모델 호출 횟수
    # model: strong       # 등급이나 모델 이름; 없으면 Helios가 고릅니다
    # deadline: 2h        # 시작부터, 또는 2027-01-31T18:00:00+09:00 같은 시각
    # each: [parser, cli] # fix-parser와 fix-cli를 만듭니다; 글 속의 {item}이 그 값입니다

  review:
    agent: reviewer
    needs: fix
    files: ["**/*.py"]
    editable: []          # 읽기만 합니다
    gates: []             # 위의 gates를 쓰지 않습니다
    priority: 6
    prompt: 바꾼 내용이 올바르고 작고 분명한가요? 더 나아져야 할 점을 적어 주세요.

  merge:
    action: merge         # Helios가 스스로 하는 일: analyse, merge, report
    needs: review

  report:
    action: report
    needs: "*"            # 다른 모든 작업
"""

_TEXTS = {"en": _ENGLISH, "ko": _KOREAN}


def template(name: str, language: str) -> str:
    """A commented project file of this name, its comments in English or Korean ("ko").

    What cannot be in a name (line breaks, control characters) is left out of it.
    """
    words = "".join(char if char.isprintable() else " " for char in name).split()
    clean = " ".join(words)[:LONGEST_NAME].strip() or "project"
    text = _TEXTS.get(language, _ENGLISH)
    return text.replace(_NAME, json.dumps(clean, ensure_ascii=False))
