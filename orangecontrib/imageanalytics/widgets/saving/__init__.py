"""Parts of Save Images."""
