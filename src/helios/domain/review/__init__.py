"""Whether a change is acceptable: edits that fit, verdicts."""
