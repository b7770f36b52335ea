"""The gateway's door: the Messages API, as its clients know it, in front of the budget."""
