"""One thing that was looked at."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        what: its name.
        found: what there is.
        advice: what to do, "" where all is well.
        needed: whether the pipeline cannot run without it.
    """

    what: str
    found: str
    advice: str = ""
    needed: bool = False

    @property
    def mark(self) -> str:
        """✓ fine, ○ missing but not needed, ✗ needed."""
        return "✗" if self.needed else "○" if self.advice else "✓"
