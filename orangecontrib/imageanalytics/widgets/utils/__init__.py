"""Parts that several widgets share: thumbnails, their view and the preview."""
