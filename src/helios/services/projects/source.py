"""Gets the text of a project file from disk, or says plainly why not."""

import stat
from pathlib import Path

from helios.errors import Problem, ProjectFileError
from helios.services.projects.findings import LINE_BREAK

MOST_BYTES = 10_000_000

_UTF_16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_UTF_8_MARK = b"\xef\xbb\xbf"
_SAVE_AS = "Save it as UTF-8 without a byte order mark."


def read_source(path: Path) -> str:
    """The text of the file.

    Raises:
        ProjectFileError: it is missing, a folder, not readable, over 10 MB, empty or not UTF-8.
    """
    data = _read(path)
    if not data.strip():
        raise _refusal(path, "the file is empty", "`helios init` writes one to begin with.")
    if data.startswith(_UTF_16_MARKS) or b"\0" in data[:2]:
        raise _refusal(path, "the file is in UTF-16; a project file is in UTF-8", _SAVE_AS)
    if data.startswith(_UTF_8_MARK):
        raise _refusal(path, "the file begins with a byte order mark", _SAVE_AS)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ProjectFileError((_not_utf_8(path, data, error.start),)) from None


def _read(path: Path) -> bytes:
    try:
        about = path.stat()
        if stat.S_ISDIR(about.st_mode):
            raise _refusal(path, "this is a folder, not a file", "Name the file inside it.")
        if about.st_size > MOST_BYTES:
            raise _too_large(path)
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except FileNotFoundError:
        hint = "`helios init` writes a project file."
        raise _refusal(path, "there is no such file", hint) from None
    except PermissionError:
        hint = "Make it readable for the user Helios runs as."
        raise _refusal(path, "no permission to read the file", hint) from None
    except OSError as error:
        raise _refusal(path, f"the file cannot be read: {error.strerror or error}") from None
    except ValueError as error:
        raise _refusal(path, f"this is no file name: {error}") from None
    if len(data) > MOST_BYTES:
        raise _too_large(path)
    return data


def _too_large(path: Path) -> ProjectFileError:
    hint = "Keep long texts in files of the repository and name them in the prompts."
    return _refusal(path, f"the file is larger than {MOST_BYTES // 1_000_000} MB", hint)


def _refusal(path: Path, message: str, hint: str = "") -> ProjectFileError:
    return ProjectFileError((Problem(str(path), 0, 0, message, hint),))


def _not_utf_8(path: Path, data: bytes, offset: int) -> Problem:
    before = LINE_BREAK.split(data[:offset].decode("utf-8"))
    rest = LINE_BREAK.split(data[offset : offset + 1000].decode("utf-8", "replace"))
    return Problem(
        str(path),
        len(before),
        len(before[-1]) + 1,
        f"not UTF-8: byte 0x{data[offset]:02x} at offset {offset}",
        _encoding_hint(data),
        before[-1] + rest[0],
    )


def _encoding_hint(data: bytes) -> str:
    try:
        data.decode("cp949")
    except UnicodeDecodeError:
        return _SAVE_AS
    return f"It may be in CP949 (EUC-KR). {_SAVE_AS}"
