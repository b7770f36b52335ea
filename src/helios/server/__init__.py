"""The HTTP face: a FastAPI app over the same services as the command line."""
