"""Tests of `qhn_core.objectives`."""
