"""A CT or label map with its geometry: reading, checking, ordering, writing."""
