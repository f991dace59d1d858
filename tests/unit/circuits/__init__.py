"""Tests of `qhn_core.circuits`."""
