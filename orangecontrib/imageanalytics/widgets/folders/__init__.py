"""Parts of Import Images."""
