"""Studies: the same question asked of many runs, with intervals over seeds and images."""
