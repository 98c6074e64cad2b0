"""Parts of Image Map."""
