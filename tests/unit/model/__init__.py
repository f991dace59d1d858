"""Tests of `qhn_core.model`."""
