"""Sections of a radiology report as plain text.

MIMIC-CXR's reports (https://physionet.org/content/mimic-cxr/) head their sections with a word in capitals and a colon
at the start of a line: `FINDINGS:`, `IMPRESSION:`.
"""

from __future__ import annotations

import re

_HEADING = re.compile(r"^[ \t]*([A-Z][A-Z /()&-]{2,40}):", re.MULTILINE)


def sections(report: str) -> dict[str, str]:
    """Text of each section by its heading in lower case, white space made single; of two with one heading, the last.

    Example:
        >>> sections("FINDINGS:  No effusion.\\n Clear.\\n\\nIMPRESSION: Normal.")
        {'findings': 'No effusion. Clear.', 'impression': 'Normal.'}
    """
    heads = list(_HEADING.finditer(report))
    ends = [*(head.start() for head in heads[1:]), len(report)]
    found = {}
    for head, end in zip(heads, ends, strict=False):
        body = " ".join(report[head.end() : end].split())
        if body:
            found[" ".join(head[1].lower().split())] = body
    return found
