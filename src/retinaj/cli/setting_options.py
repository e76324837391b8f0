"""An option for each setting of `TrainingSettings`, made from its fields: an option is written once, there."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Collection, Iterator, Mapping
from types import MappingProxyType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import typer
from pydantic.fields import FieldInfo

from retinaj.errors import RetinaJError
from retinaj.training.option import Option
from retinaj.training.presets import PRESETS
from retinaj.training.settings import TrainingSettings

GivenSettings = Mapping[str, Any]
NONE_GIVEN: GivenSettings = MappingProxyType({})
_PARAMETER = "given"
# More are a sentence of the help, not a column of it.
_MOST_CHOICES_IN_A_COLUMN = 6


def with_settings(command: Callable[..., None], without: Collection[str] = ()) -> Callable[..., None]:
    """A command with an option for each setting in the place of its parameter `given`, which gets those that were given.

    None of them has a default of its own: what is not given is for a preset, a starting point or an interrupted run to say.

    Args:
        command: the function.
        without: settings that it has no option for.
    """
    own = inspect.signature(command)
    types = get_type_hints(command, include_extras=True)
    parameters: list[inspect.Parameter] = []
    for parameter in own.parameters.values():
        if parameter.name == _PARAMETER:
            parameters.extend(each for each in _parameters() if each.name not in without)
        else:
            parameters.append(parameter.replace(annotation=types[parameter.name]))
    names = [parameter.name for parameter in parameters if parameter.name not in own.parameters]

    @functools.wraps(command)
    def run(**options: Any) -> None:
        values = {name: options.pop(name) for name in names}
        command(**options, **{_PARAMETER: {name: value for name, value in values.items() if value is not None}})

    run.__dict__["__signature__"] = own.replace(parameters=parameters)
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run


def checked_settings(values: Mapping[str, Any]) -> TrainingSettings:
    """Settings from options, or the one option that cannot be.

    Raises:
        RetinaJError: naming the option, its value and what was expected.
    """
    from pydantic import ValidationError

    try:
        return TrainingSettings(**values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        option = str(first["loc"][0]).replace("_", "-")
        reason = first["msg"].removeprefix("Value error, ")
        raise RetinaJError(f"--{option} is {first['input']!r}: {reason}.") from error


def _parameters() -> Iterator[inspect.Parameter]:
    for name, field in TrainingSettings.model_fields.items():
        option = next((each for each in field.metadata if isinstance(each, Option)), None)
        if option is not None:
            kind, about = _option(name, field, option)
            yield inspect.Parameter(
                name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=None, annotation=Annotated[kind | None, about]
            )


def _option(name: str, field: FieldInfo, option: Option) -> tuple[Any, Any]:
    """(the type of the option's values, what Typer is told about it)."""
    kind, choices = _kind(field.annotation)
    flags = option.flags or f"--{name.replace('_', '-')}"
    text, callback = option.text, None
    if len(choices) > _MOST_CHOICES_IN_A_COLUMN:
        kind, text, callback = str, " ".join(filter(None, [option.text, f"One of {', '.join(choices)}."])), _one_of(choices)
    if field.default is not False:
        text = f"{text} \\[default: {_defaults(name, field, option)}]".lstrip()
    return kind, typer.Option(flags, help=text, rich_help_panel=option.panel, callback=callback)


def _kind(annotation: Any) -> tuple[Any, tuple[str, ...]]:
    """The type that Typer reads a setting as, and its choices if they are words. Limits are left to the setting itself."""
    if get_origin(annotation) in (Union, UnionType):
        annotation = next(each for each in get_args(annotation) if each is not type(None))
    if get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    if get_origin(annotation) is tuple:
        return str, ()
    if get_origin(annotation) is not Literal:
        return annotation, ()
    values = get_args(annotation)
    return (annotation, values) if isinstance(values[0], str) else (type(values[0]), ())


def _one_of(choices: tuple[str, ...]) -> Callable[[str | None], str | None]:
    def check(value: str | None) -> str | None:
        if value is not None and value not in choices:
            raise typer.BadParameter(f"{value!r} is not one of {', '.join(choices)}.")
        return value

    return check


def _defaults(name: str, field: FieldInfo, option: Option) -> str:
    """The default, and those of the presets that have another.

    >>> field = TrainingSettings.model_fields["batch_size"]
    >>> _defaults("batch_size", field, field.metadata[-1])
    '4; gpu, best: 16'
    """
    others: dict[str, list[str]] = {}
    for preset, values in PRESETS.items():
        if name in values:
            others.setdefault(_text(values[name]), []).append(preset)
    parts = [option.default or _text(field.default), *(f"{', '.join(presets)}: {text}" for text, presets in others.items())]
    return "; ".join(parts)


def _text(value: object) -> str:
    return f"{value:g}" if isinstance(value, int | float) else str(value)
