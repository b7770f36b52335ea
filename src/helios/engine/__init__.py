"""The loops that never sleep: durable task workflows, the dispatcher, the reconciler. No rules."""
