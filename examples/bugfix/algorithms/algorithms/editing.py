"""Edit distance: how many single-character changes turn one string into another."""

from collections.abc import Iterable


def edit_distance(source: str, target: str) -> int:
    """Return the least number of insertions, deletions and replacements (Levenshtein).

    Only two rows of the table are kept: `above` belongs to the source without its last
    character, and `current` to the source with it.
    """
    above = list(range(len(target) + 1))
    for row, wanted in enumerate(source, start=1):
        current = [row - 1]
        for column, found in enumerate(target, start=1):
            replaced = above[column - 1] + (wanted != found)
            deleted = above[column] + 1
            inserted = current[column - 1] + 1
            current.append(min(replaced, deleted, inserted))
        above = current
    return above[-1]


def closest_word(word: str, known: Iterable[str], limit: int = 2) -> str | None:
    """Return the known word nearest to the given one, or None if all are beyond the limit.

    Of words at the same distance the first in alphabetical order is returned.
    """
    ranked = sorted((edit_distance(word, candidate), candidate) for candidate in known)
    if not ranked or ranked[0][0] > limit:
        return None
    return ranked[0][1]
