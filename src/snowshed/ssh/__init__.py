"""How the host reaches the guest by SSH: keys, pinned host keys, and the configuration for OpenSSH."""
