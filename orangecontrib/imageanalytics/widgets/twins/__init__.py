"""Parts of Twins."""
