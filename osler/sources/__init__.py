"""Sources: one file per public data set, archive or sample set; each yields Records."""
