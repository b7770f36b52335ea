"""Parts for tests, shipped to users: a movable clock and the conformance suites of the ports."""
