"""The same work here and by each installed peer: `qhn bench`."""
