"""The one process that owns a builder's VM, its listening sockets and its state."""
