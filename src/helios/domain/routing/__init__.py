"""Which model does a task: complexity, choice, learning, explanation."""
