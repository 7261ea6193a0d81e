"""The command line `meddiff-fm`. Heavy packages load inside the commands, so that `--help` answers at once."""
