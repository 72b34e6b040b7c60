"""The training loop and what it writes; it knows no method by name."""
