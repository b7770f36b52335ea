"""The stores on SQL: SQLite for one machine, PostgreSQL for several."""
