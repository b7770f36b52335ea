"""Where the record is kept: back ends of the ledger and of the run store."""
