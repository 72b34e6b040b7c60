"""The one exception type for a user's mistakes, and how errors stand in a log."""

ERROR = "m3hl: error: "
MISTAKE = "m3hl: a mistake of the program, not of yours; please report it with these lines:"
"""Below it stands the traceback."""


class UserError(Exception):
    """A mistake that the user can mend; the message says what, where, and what to do next.

    The command line prints it as one line and exits with code 1. Everything else is a bug and keeps its
    traceback.
    """
