"""What a guest boots from: immutable, content-addressed."""
