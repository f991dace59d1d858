"""Tests of `qhn_core.storage`."""
