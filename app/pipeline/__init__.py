"""The recogniser: pure computation. Imports no web framework, no database, no settings object."""
