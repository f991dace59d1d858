"""The subcommands of `qhn`, one module each, and the exit codes that they share."""

FAILED, BAD_INPUT, INTERRUPTED = 1, 2, 130
