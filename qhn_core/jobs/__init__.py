"""Runs that share the workers of one server."""
