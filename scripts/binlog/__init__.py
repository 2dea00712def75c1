"""MySQL's binary log as Maxwell's records. scripts/maxwell is its program."""
