# What host and guest agree on, as the Python side reads it: no tag, serial or port is written twice.
builtins.fromJSON (builtins.readFile ../src/snowshed/guest/contract.json)
