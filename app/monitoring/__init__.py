"""What the service counts and times, and how it is read: by Prometheus, and in short by the health routes."""
