"""The package `glossline` of the protocol."""
