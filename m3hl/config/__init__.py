"""Typed configuration: the one source of keys, defaults, checks and the JSON schema."""
