"""Ways to reach models: the Anthropic API, and a simulator that speaks the same protocol."""
