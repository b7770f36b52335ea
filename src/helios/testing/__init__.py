"""Parts for tests, shipped to users: a movable clock, a simulated provider in a process of its own,
and the conformance suites of the ports.
"""
