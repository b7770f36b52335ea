"""Suites that say whether an implementation of a port keeps its promises.

They use nothing but the port, so that third parties can run them on their own back ends:

    @pytest.mark.parametrize("check", LedgerConformance.checks())
    def test_my_ledger_keeps_its_promises(check, tmp_path):
        suite = LedgerConformance(lambda clock: open_my_ledger(tmp_path, clock))
        asyncio.run(getattr(suite, check)())

The numbers in the names are those of the promises in the port's docstring.
"""
