"""Tests of `qhn_core.cli`."""
