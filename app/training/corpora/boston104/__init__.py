"""RWTH-BOSTON-104: whole sentences as tracks of two wrists and the nose."""
