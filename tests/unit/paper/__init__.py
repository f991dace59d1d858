"""Tests of `qhn_core.paper`."""
