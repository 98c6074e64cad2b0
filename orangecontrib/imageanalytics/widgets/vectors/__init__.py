"""Parts of Load Vectors."""
