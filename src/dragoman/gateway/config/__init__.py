"""The configuration: what may be set, read and checked."""
