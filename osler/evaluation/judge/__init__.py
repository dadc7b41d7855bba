"""Judging by a language model: a second pass over the predictions of a run, its calls kept on disk."""
