"""kill -9 at random moments, as often as wanted: `python -m tests.proof.kills 1000`."""

import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from helios.stores.sql.database import open_database
from tests.proof.books import OPEN, BooksCheck
from tests.proof.children import Spending, spending
from tests.proof.forks import Forks
from tests.proof.meters import compare, sweep_after_the_leases

CAP = 60
KILLS_OF_A_FILE = 20
TOGETHER = 4


def kill_many(forks: Forks, folder: Path, kills: int) -> Counter[str]:
    """Kill so often; the books are looked at after every fourth kill, and swept at the end.

    Raises:
        AssertionError: an invariant does not hold.
    """
    chance, counts = random.Random(kills), Counter[str]()
    while counts["kills"] < kills:
        file = folder / f"{counts['files']}.db"
        meter, url = file.with_suffix(".meter"), f"sqlite:///{file}"
        open_database(url).shut()
        check = BooksCheck(url)
        for _ in range(min(KILLS_OF_A_FILE, kills - counts["kills"]) // TOGETHER):
            kill_together(forks, Spending(url, "", CAP, meter, for_ever=True), chance, counts)
            compare(check.check(), meter, CAP)
        tables = check.check()
        left = {row["request_id"] for row in tables["ledger_entries"] if row["state"] in OPEN}
        assert sweep_after_the_leases(url) == left
        tables = check.check()
        assert not [row for row in tables["ledger_entries"] if row["state"] in OPEN]
        counts["tokens billed"] += compare(tables, meter, CAP)
        counts["tokens charged"] += sum(
            row["spent"] for row in tables["ledger_balances"] if row["limit_key"] != "all/messages"
        )
        counts["calls"] += len(tables["ledger_entries"])
        counts["calls cut off"] += len(left)
        counts["files"] += 1
        check.close()
    return counts


def kill_together(forks: Forks, job: Spending, chance: random.Random, counts: Counter[str]) -> None:
    """Four processes spend one file; one after the other is killed, 20 to 150 ms later."""
    living = []
    for n in range(TOGETHER):
        name = f"{counts['kills']}-{n}"
        own = Spending(job.url, name, job.cap, job.meter, for_ever=True)
        living.append(forks.start(spending, own))
    for child in living:
        assert child.hear() == "ready"
        assert child.hear() == "spending"
    for child in living:
        time.sleep(chance.uniform(0.02, 0.15))
        child.kill()
        counts["kills"] += 1
    forks.close()


def main() -> None:
    kills = int(sys.argv[1])
    with tempfile.TemporaryDirectory(prefix="helios-kills-") as folder:
        counts = kill_many(Forks(), Path(folder), kills)
    print(", ".join(f"{number} {what}" for what, number in counts.items()))
    print("0 overruns, 0 calls billed and not charged, books balanced after every fourth kill")


if __name__ == "__main__":
    main()
