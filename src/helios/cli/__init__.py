"""The command line: a module a verb family; heavy imports inside commands."""
