"""The code a project works on: Git worktrees, and what code says unrun."""
