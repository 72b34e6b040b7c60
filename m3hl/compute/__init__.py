"""Where and how arithmetic is done."""
