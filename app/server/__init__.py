"""How the process runs: uvicorn's configuration, limits on connections, shutdown."""
