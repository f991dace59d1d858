"""Speed, measured against a peer or a naive version in the same run: `python -m tests.benchmarks`."""
