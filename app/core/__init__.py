"""Settings, logging, errors: what every other part may import."""
