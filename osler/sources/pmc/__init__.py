"""PubMed Central's open-access articles: listing, fetching, reading, and rehearsal articles in the same layout."""
