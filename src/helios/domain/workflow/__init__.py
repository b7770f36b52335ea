"""What runs next: graph, states, readiness, order, retries, plan."""
