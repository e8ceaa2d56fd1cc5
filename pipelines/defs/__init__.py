"""Dagster definitions, a file a topic; each asset body is a few lines that call `gtl_core` through the chain.

The files of assets have no `from __future__ import annotations`: Dagster reads the type of `context` at once.
"""
