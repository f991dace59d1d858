"""Tests of `qhn_core.training`."""
