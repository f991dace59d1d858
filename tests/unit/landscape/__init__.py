"""Tests of `qhn_core.landscape`."""
