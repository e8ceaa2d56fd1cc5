"""The `gtl` command, a file a group of commands: parse, call, print."""
