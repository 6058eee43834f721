"""Stand-ins that are shipped beside the tests: each says what it imitates and which faults can be chosen."""
