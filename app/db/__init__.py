"""The database: PostgreSQL alone, its models, repositories and migrations."""
