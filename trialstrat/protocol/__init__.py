"""What the study declares: typed protocol, loading with line numbers, linting."""
