"""Where a copy of the budget's status is kept for quick reading."""
