"""Readers of the layouts that image sets come in, a file a layout."""
