"""Use cases: each module answers one family of wishes, and speaks to the world through ports."""
