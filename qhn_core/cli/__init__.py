"""The subcommands of `qhn`, one module each, and the exit codes that they share.

`qhn reproduce` and `qhn bench` are in `qhn_core.cli.main.reproduce` and `qhn_core.cli.main.bench`.
"""

FAILED, BAD_INPUT, INTERRUPTED = 1, 2, 130
