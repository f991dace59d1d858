"""Tests of `qhn_core.jobs`."""
