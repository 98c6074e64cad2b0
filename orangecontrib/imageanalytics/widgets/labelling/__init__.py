"""Parts of Label Images."""
