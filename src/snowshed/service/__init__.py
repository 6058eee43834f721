"""Installing a builder as a service: systemd and launchd."""
