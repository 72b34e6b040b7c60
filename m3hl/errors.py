"""The one exception type for a user's mistakes."""


class UserError(Exception):
    """A mistake that the user can mend; the message says what, where, and what to do next.

    The command line prints it as one line and exits with code 1. Everything else is a bug and keeps its
    traceback.
    """
