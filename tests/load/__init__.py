"""A class on one server: `python -m tests.load [--sessions 30] [--seconds 60]`."""
