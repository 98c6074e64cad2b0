"""Small helpers that several widgets share."""
