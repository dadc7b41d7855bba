"""Measures of how alike two texts are, for reports and captions: n-grams, longest common subsequence, vectors.

Where a well-kept library exists it is used (sacrebleu for BLEU, NLTK for METEOR: the extra `metrics`); ROUGE-L and
CIDEr-D are written from their formulas, because their libraries are not kept up (rouge-score: last release 2022, its
table has one cell for every pair of words) or need Java (pycocoevalcap, 104 MB). docs/protocols.md compares the
numbers.
"""
