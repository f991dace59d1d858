"""Text from outside the program, shown as it is: never as Markdown."""

import re

WORD_JOINER = "\u2060"
"""Invisible, and takes no room."""


def plain(text: object) -> str:
    r"""Write `text` so that Markdown shows its characters and nothing else.

    Use it for everything that a visitor, an address, a file or an error message brings in. A backslash
    keeps every punctuation mark from being read as Markdown. Streamlit also looks for links, mail
    addresses and icon names after the backslashes are gone; a word joiner inside them hides these.

    >>> plain("![picture](x)")
    '\\!\\[picture\\]\\(x\\)'
    """
    escaped = re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", str(text))
    unlinked = re.sub(r"(:(?=\S)|@|www)", rf"\1{WORD_JOINER}", escaped, flags=re.IGNORECASE)
    return unlinked.replace("\n", "  \n")
