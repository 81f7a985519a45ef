"""The background process that keeps the model loaded, and its client: the panel's only way to torch."""
