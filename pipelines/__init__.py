"""The application over `gtl_core`: Dagster definitions and the `gtl` command."""
