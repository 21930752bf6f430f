"""Training jobs: requested over HTTP, run as processes of their own, kept in the database."""
