"""Synthetic sets: sampling, provenance, export."""
