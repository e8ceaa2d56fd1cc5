"""Synthetic sets: sampling, provenance, export; and pictures that a generator restores or gives another look."""
