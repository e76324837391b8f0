"""YAML from strangers: plain data only, and no document that grows when it is used."""

from __future__ import annotations

import re
from typing import Any, ClassVar

import yaml

from retinaj.errors import RetinaJError

# A description with long texts is some 50 kB.
MAX_YAML_BYTES = 2 * 1024**2
_MAX_DEPTH = 64

# libyaml's loader where it was compiled in: the same rules, ten times faster.
_SafeLoader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


# What plain words mean in YAML 1.2, which bioimageio.spec writes: tag, pattern and the characters it can begin with.
CORE_SCHEMA = tuple(
    (f"tag:yaml.org,2002:{tag}", re.compile(f"^(?:{pattern})$"), first)
    for tag, pattern, first in (
        ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
        ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
        ("int", r"[-+]?(0|[1-9][0-9]*)", list("-+0123456789")),
        ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", list("-+.0123456789")),
        ("float", r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", list("-+.")),
    )
)


class _Loader(_SafeLoader):
    """The core schema of YAML 1.2. In PyYAML's 1.1, a class named "no" would be False."""

    yaml_implicit_resolvers: ClassVar[dict[str, list[tuple[str, re.Pattern[str]]]]] = {}


for _tag, _pattern, _first in CORE_SCHEMA:
    _Loader.add_implicit_resolver(_tag, _pattern, _first)


def load_yaml(content: bytes, origin: str) -> dict[str, Any]:
    """Parse a YAML mapping of plain data: text, numbers, lists, mappings.

    Args:
        content: UTF-8 text.
        origin: what it came from, for the error message.

    Raises:
        RetinaJError: if it is larger than `MAX_YAML_BYTES`, is not YAML or not a mapping, asks for Python objects, or holds
            aliases or deep nesting, with which a few lines become gigabytes.

    >>> load_yaml(b"{name: no, eps: 1e-06, count: 3}", "rdf.yaml")
    {'name': 'no', 'eps': 1e-06, 'count': 3}
    """
    if len(content) > MAX_YAML_BYTES:
        raise RetinaJError(f"{origin} has {len(content):,} bytes; at most {MAX_YAML_BYTES:,} were expected.")
    try:
        depth = 0
        for event in yaml.parse(content, Loader=_Loader):
            if isinstance(event, yaml.AliasEvent):
                raise RetinaJError(f"{origin} uses YAML aliases (*{event.anchor}); RetinaJ does not follow them.")
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > _MAX_DEPTH:
                raise RetinaJError(f"{origin} is nested more than {_MAX_DEPTH} levels deep.")
        data = yaml.load(content, Loader=_Loader)  # noqa: S506 - it is a SafeLoader
    except (yaml.YAMLError, ValueError) as error:
        raise RetinaJError(f"{origin} is not plain YAML: {' '.join(str(error).split())}.") from error
    if not isinstance(data, dict):
        raise RetinaJError(f"{origin} holds {type(data).__name__}; expected a mapping of fields.")
    return data
