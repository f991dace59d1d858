"""Tests of `qhn_core.kernels`."""
