"""The gateway's rules: keys, what a request may take, what an answer took, and how to refuse."""
