"""Keys and configuration for OpenSSH."""
