"""Tests of `qhn_core.live`."""
