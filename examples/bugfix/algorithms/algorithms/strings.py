"""Substring search in linear time (Knuth, Morris, Pratt)."""


def prefix_function(text: str) -> list[int]:
    """Return, for every position, the length of the longest border that ends there.

    A border of a string is a shorter string that is both its beginning and its end.
    """
    borders = [0] * len(text)
    for position in range(1, len(text)):
        length = borders[position - 1]
        while length > 0 and text[length] != text[position]:
            length = borders[length - 1]
        if text[length] == text[position]:
            length += 1
        borders[position] = length
    return borders


def find_all(text: str, pattern: str) -> list[int]:
    """Return where the pattern starts in the text; occurrences may overlap."""
    if not pattern:
        raise ValueError("the pattern is empty")
    borders = prefix_function(pattern)
    starts: list[int] = []
    matched = 0
    for position, character in enumerate(text):
        while matched > 0 and pattern[matched] != character:
            matched = borders[matched - 1]
        if pattern[matched] == character:
            matched += 1
        if matched == len(pattern):
            starts.append(position - matched + 1)
            matched = borders[matched - 1]
    return starts


def smallest_period(text: str) -> int:
    """Return the length of the shortest string whose repetition makes the whole text."""
    if not text:
        return 0
    period = len(text) - prefix_function(text)[-1]
    return period if len(text) % period == 0 else len(text)
