"""Training jobs: asked for over HTTP, run as processes of their own, kept in the database."""
