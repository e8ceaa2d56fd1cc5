"""Arms, paired statistics, and the verdict."""
