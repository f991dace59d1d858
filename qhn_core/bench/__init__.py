"""`qhn bench`: time the same work by this package and by each installed peer."""
