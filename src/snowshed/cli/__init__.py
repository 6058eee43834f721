"""The `snowshed` command, one file a verb."""
