"""What host and guest agree on, and how the host talks to a guest."""
