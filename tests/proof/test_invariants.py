"""The invariants of the budget on the real ledger, under any order of events.

One machine (`machine.py`) does every act to the ledger and to a model too simple to be wrong;
a bystander (`watch.py`) holds the tables, read past the store's code (`books.py`), and the
provider's own meter against the invariants. A check that finds nothing is no check: for each
number the same machine must find a ledger broken on purpose (`bugs.py`), and find it by that
number's own check.

     1 spent + held <= limit              books, watch     here; test_kills, test_one_budget
     2 held and spent are sums            books            here; test_kills, test_one_budget
     3 the provider's meter <= limit      watch            here; test_kills, test_steps
     4 one reservation, same answer       machine, watch   here; test_steps
     5 final states stay                  books, watch     here
     6 no call without a live SENT row    machine          here; test_stopped
     7 held never charged, sent never     books, watch     here; test_steps
       given back
     8 nothing outlives lease and sweep   machine          here; test_kills
     9 all or nothing                     watch            here
    10 closed windows gain no room        watch            here
    11 a clock going back frees nothing   machine, watch   here; test_clock
    12 restarts and replays               books, machine   here; test_kills, test_servers
    13 rebuilding the mirror              the mirror's own tests
    14 used up while demand remains       machine          here; test_one_budget
    15 no false refusal                   machine          here; test_one_budget
    16 tenants are apart                  watch            here
    17 above 95 % only the urgent         machine          here
"""

import shutil
import tempfile
from pathlib import Path

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from helios.stores.sql.schema import metadata
from tests.proof.books import Broken
from tests.proof.bugs import PLANTED, Bug
from tests.proof.machine import LedgerMachine, Place

Machine = type[LedgerMachine]
STEPS = 20
SEARCH = settings(
    max_examples=150,
    stateful_step_count=STEPS,
    deadline=None,
    database=None,
    derandomize=True,
    phases=[Phase.generate],
    print_blob=False,
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture
def on_sqlite(sqlite_with_tables: Path) -> Machine:
    def empty() -> Place:
        folder = Path(tempfile.mkdtemp(prefix="helios-proof-"))
        shutil.copy(sqlite_with_tables, folder / "books.db")
        return Place(f"sqlite:///{folder}/books.db", lambda: shutil.rmtree(folder))

    class OnSqlite(LedgerMachine):
        pass

    OnSqlite.empty = staticmethod(empty)
    return OnSqlite


@pytest.fixture
def on_postgres(postgres_with_tables: str) -> Machine:
    def empty() -> Place:
        with psycopg.connect(postgres_with_tables) as connection:
            connection.execute(f"TRUNCATE {', '.join(metadata.tables)} RESTART IDENTITY")
            connection.execute("INSERT INTO ledger_clock (id, latest) VALUES (1, 0)")
        return Place(postgres_with_tables, lambda: None)

    class OnPostgres(LedgerMachine):
        pass

    OnPostgres.empty = staticmethod(empty)
    return OnPostgres


@pytest.mark.slow
def test_the_ledger_keeps_every_invariant(on_sqlite: Machine) -> None:
    most = 60 if settings.default.derandomize else 2_000
    thorough = settings(max_examples=most, stateful_step_count=STEPS, database=None)
    run_state_machine_as_test(on_sqlite, settings=thorough)


@pytest.mark.slow
@pytest.mark.postgres
def test_the_ledger_keeps_every_invariant_on_postgres(on_postgres: Machine) -> None:
    short = settings(SEARCH, max_examples=12)
    run_state_machine_as_test(on_postgres, settings=short)


@pytest.mark.slow
@pytest.mark.parametrize("bug", PLANTED, ids=lambda bug: f"{bug.number}: {bug.what}")
def test_a_planted_bug_is_found(
    bug: Bug, on_sqlite: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_sqlite.kind, on_sqlite.only = bug.plant(monkeypatch), bug.number
    with pytest.raises(Broken) as found:
        run_state_machine_as_test(on_sqlite, settings=SEARCH)
    assert found.value.number == bug.number


def test_every_invariant_has_a_planted_bug() -> None:
    assert {bug.number for bug in PLANTED} == set(range(18)) - {13}
