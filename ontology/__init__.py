"""Names: code systems, labels, hierarchies, units. This package knows no patient."""
