"""The command line: Typer commands, progress, exit codes; the only place where errors become messages."""
