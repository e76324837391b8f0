"""Regular expressions that users give, for finding something in names: in bounded time and memory, whatever they give."""

from __future__ import annotations

import re2

from retinaj.errors import RetinaJError

_LONGEST = 1000  # characters


class NamePattern:
    r"""A regular expression with one group, searched for in names.

    Google's RE2 runs it, because Python's own engine can take hours over a pattern such as (a+)+$, and other engines all
    memory over nested repetitions. RE2 knows no look-around and no back-references.

    Args:
        text: the regular expression.
        option: the command's option that it comes from, for errors.

    Raises:
        RetinaJError: if it is none, has no group or several, or is too long or too large.

    >>> NamePattern(r"^(plate\d+)_", "--group-by").find("plate12_A03.tif")
    'plate12'
    """

    def __init__(self, text: str, option: str) -> None:
        self.text = text
        where = f'{option} is "{text[:80]}{"…" if len(text) > 80 else ""}"'
        if len(text) > _LONGEST:
            raise RetinaJError(f"{where}, {len(text):,} characters; RetinaJ takes patterns of up to {_LONGEST:,}.")
        options = re2.Options()
        options.log_errors = False
        try:
            self._compiled = re2.compile(text, options)
        except UnicodeEncodeError as error:
            raise RetinaJError(f"{where}, which is not valid text.") from error
        except re2.error as error:
            reason = error.args[0].decode("utf-8", "replace") if error.args else "it cannot be used"
            raise RetinaJError(
                f"{where}, which is no regular expression of the kind that RetinaJ takes (RE2, without look-around and "
                f"back-references): {reason}."
            ) from error
        if self._compiled.groups != 1:
            raise RetinaJError(
                f"{where}, with {self._compiled.groups} groups; expected one pair of parentheses around what counts, as in "
                r"'^(plate\d+)_'. Write further ones as (?:...)."
            )

    def find(self, name: str) -> str | None:
        """What the group matches where the pattern is first found in `name`; None if it is not found or that is empty."""
        found = self._compiled.search(name.encode("utf-8", "replace").decode())  # a file's name may be no text
        return (str(found.group(1) or "") or None) if found else None
