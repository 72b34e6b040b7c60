"""What the study's ablations are: runs are recognised by their settings, never by the names of their methods."""
