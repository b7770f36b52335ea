"""What a task may be called. Ids become names of branches, folders and rows."""

import re
import unicodedata

LONGEST_ID = 80

_INNER_MARKS = frozenset("-_.")


def normal(text: str) -> str:
    """The same letters written the same way: some systems take Korean syllables apart."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def fault(text: str) -> str:
    """Why this cannot be a task id, or nothing when it can."""
    if not text:
        return "a task id must not be empty"
    if len(text) > LONGEST_ID:
        return f"a task id has at most {LONGEST_ID} characters, this has {len(text)}"
    for char in text:
        if not _is_letter(char) and char not in _INNER_MARKS:
            shown = "a space" if char.isspace() else f"{char!r}"
            return f"{shown} cannot be in a task id, only letters, digits, - _ and ."
    if not (_is_letter(text[0]) or text[0] == "_") or text[-1] == ".":
        return "a task id begins with a letter, a digit or _ and does not end with a dot"
    if ".." in text or text.endswith(".lock"):
        return "a task id has no two dots in a row and does not end with .lock (Git forbids it)"
    return ""


def as_suffix(text: str) -> str:
    """A value of `each` as the end of an id: what cannot be in an id becomes a hyphen."""
    kept = "".join(char if _is_letter(char) or char in _INNER_MARKS else "-" for char in text)
    return re.sub(r"-+", "-", re.sub(r"\.{2,}", ".", kept)).strip("-.")


def _is_letter(char: str) -> bool:
    if char.isascii():
        return char.isalnum()
    return unicodedata.category(char)[0] in "LM" or unicodedata.category(char) == "Nd"
