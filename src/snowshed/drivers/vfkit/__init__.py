"""The driver over vfkit: Virtualization.framework behind a command line and REST."""
