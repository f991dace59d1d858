"""Tests."""

SECONDS = 120
"""How long an awaited event may take before its test fails. A test waits for events, never for a time, so
this costs nothing; it is long for slow and busy machines, where nothing may be compiled yet.
"""
