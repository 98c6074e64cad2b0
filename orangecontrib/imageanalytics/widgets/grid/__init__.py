"""Parts of Image Grid."""
