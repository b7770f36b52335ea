"""What is wrong with a command line, in a user's words."""

from collections.abc import Sequence

from cyclopts import CycloptsError
from cyclopts.exceptions import MissingArgumentError, UnknownOptionError, UnusedCliTokensError

from helios.cli.terminal import suggestion


def explain(error: CycloptsError) -> tuple[str, str]:
    """The mistake, and what helps: a close word, or the help of the command that was meant."""
    chain = list(error.command_chain or ())
    helps = f"`{' '.join(['helios', *chain])} --help` shows what can be."
    match error:
        case UnusedCliTokensError(unused_tokens=[word, *_]):
            return _surplus(error, chain, word, helps)
        case MissingArgumentError(argument=argument, keyword=None) if (
            argument is not None and argument.field_info.is_positional and not argument.tokens
        ):
            name = argument.name.lstrip("-").upper().replace("-", "_")
            return f"`helios {' '.join(chain)}` needs {name}", helps
        case UnknownOptionError(token=token) if _is_amount(token.keyword or token.value):
            said = token.keyword or token.value
            return f"{said!r} is not possible: it must be more than 0", helps
        case _:
            return str(error).strip(), helps


def _surplus(error: CycloptsError, chain: Sequence[str], word: str, helps: str) -> tuple[str, str]:
    """A word too many: after a group of commands, most likely one that is spelt wrongly."""
    whole = " ".join(["helios", *chain])
    verbs = [name for name in error.app or () if not name.startswith("-")]
    if not verbs:
        return f"`{whole}` takes no {word!r}", helps
    return f"`{whole}` has no command {word!r}", f"{suggestion(word, verbs)} {helps}"


def _is_amount(said: str) -> bool:
    return said[:1] == "-" and said[1:2] in tuple("0123456789$.")
