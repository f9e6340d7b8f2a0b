"""The files by which the service is deployed: they say only what exists."""
