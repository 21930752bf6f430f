"""How the process runs: serving, shutdown."""
