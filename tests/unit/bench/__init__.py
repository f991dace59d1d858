"""Tests of `qhn_core.bench`."""
