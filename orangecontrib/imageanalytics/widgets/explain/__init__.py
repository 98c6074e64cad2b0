"""Parts of Explain Images."""
