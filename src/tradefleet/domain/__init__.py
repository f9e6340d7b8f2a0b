"""The words of trading and their own rules: pure values, no I/O."""
