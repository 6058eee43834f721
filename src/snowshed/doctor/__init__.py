"""Looking at a host and at one builder of it: what is wrong, and what to do about it. Nothing here changes anything."""
