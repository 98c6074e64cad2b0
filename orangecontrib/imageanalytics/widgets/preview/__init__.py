"""Windows that show images at full size."""
