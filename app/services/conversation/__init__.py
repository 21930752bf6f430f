"""What every live conversation needs, whatever it is about: the connection loop, the outbox, limits by address."""
