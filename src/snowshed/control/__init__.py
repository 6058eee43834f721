"""The control socket: JSON lines between the command line and a supervisor."""
