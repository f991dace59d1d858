"""Runs and scans on disk, and the zip by which a run travels."""
