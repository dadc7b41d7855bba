"""Does rewarding boxes and attention beat more supervised tuning of the same cost? (UMed-LVLM, arXiv 2501.01377)"""
