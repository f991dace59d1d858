"""The subcommands of `qhn`, one module each, and the exit codes that they share.

`qhn reproduce` and `qhn bench` are in `qhn_core.cli.reproduce` and `qhn_core.cli.bench`.
"""

FAILED, BAD_INPUT, INTERRUPTED = 1, 2, 130
