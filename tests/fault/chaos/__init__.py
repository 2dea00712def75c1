"""A random load with a reference, faults, and the comparison at the end. `driver` is the beginning."""
