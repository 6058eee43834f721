"""Finding a guest's address where there is no vsock."""
