"""What has never run where it is used, tried step by step: `snowshed selftest`, and the list in ``docs/macos.md``."""
