"""What the adapters of real venues share; each adapter is a Dialect in its own file beside."""
