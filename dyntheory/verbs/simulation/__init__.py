"""Finite networks trained on drawn data, averaged over runs."""
