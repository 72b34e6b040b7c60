"""The one exception type for a user's mistakes, and how errors stand in a log."""

from collections.abc import Iterable
from difflib import get_close_matches

ERROR = "m3hl: error: "
MISTAKE = "m3hl: a mistake of the program, not of yours; please report it with these lines:"
"""Below it stands the traceback."""


class UserError(Exception):
    """A mistake that the user can mend; the message says what, where, and what to do next.

    The command line prints it as one line and exits with code 1. Everything else is a bug and keeps its
    traceback.
    """


def is_out_of_memory(error: Exception) -> bool:
    """Return whether the memory of the computer or the GPU did not suffice; torch has its own words for it."""
    kinds = {kind.__name__ for kind in type(error).__mro__}
    return bool(kinds & {"MemoryError", "OutOfMemoryError"}) or "DefaultCPUAllocator" in str(error)


def nearest(word: str, known: Iterable[str]) -> str:
    """Return a question for the known word that is most like an unknown one, "" where none is.

    >>> nearest("uamt", ["ua-mt", "cps"])
    '; did you mean ua-mt?'
    """
    found = get_close_matches(word.lower(), known, n=1)
    return f"; did you mean {found[0]}?" if found else ""
