"""Network modules only, built by name from a small registry; no optimisers, files or losses."""
