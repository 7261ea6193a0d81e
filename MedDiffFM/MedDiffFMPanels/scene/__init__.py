"""Between MRML nodes and files or arrays."""
