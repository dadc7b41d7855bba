"""Keep libraries' chatter off the command line; what Osler has to say stays readable."""

from __future__ import annotations


def quiet() -> None:
    """Silence transformers' loading bars and notices. The training bar with the time left stays."""
    import warnings

    from transformers.utils import logging

    logging.disable_progress_bar()
    logging.set_verbosity_error()
    warnings.filterwarnings("ignore", category=FutureWarning, module="transformers")
