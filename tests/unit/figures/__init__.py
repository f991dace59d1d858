"""Tests of `qhn_core.figures`."""
