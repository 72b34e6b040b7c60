"""Files: whole or absent, with digests and locks; a damaged or missing one is told in one line."""
