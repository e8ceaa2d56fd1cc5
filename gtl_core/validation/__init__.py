"""Validation of image sets: expectations, duplicates, leakage, quarantine."""
