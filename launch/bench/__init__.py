"""Measurements of this machine, one module a kind."""
