"""Records become instruction records: templates, and writers that ask a language model behind an endpoint."""
