"""What the provider says of its windows, read from headers, CLI events, status line, transcripts.

Lenient to what is missing or unknown, strict about nonsense: a figure that cannot be true is
ignored and counted, never guessed, and no input makes a parser fail.
"""
