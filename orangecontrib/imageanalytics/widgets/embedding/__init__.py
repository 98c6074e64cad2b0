"""Parts of Image Embedding."""
