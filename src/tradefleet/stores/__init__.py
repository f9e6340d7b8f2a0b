"""Where the service keeps its memory: one store per file or folder."""
