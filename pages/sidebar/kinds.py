"""The kinds of controls: each reads its value from the address, writes it there, and draws itself."""

from dataclasses import dataclass
from math import isfinite
from typing import Any

import streamlit as st
from pydantic import ValidationError
from typing_extensions import override

from pages.parts.visitor import visitor
from qhn_core.config import RunConfig, explain


@dataclass(frozen=True, kw_only=True)
class Control:
    """A control for one field. The field's name is also the widget's key and the name in the address."""

    field: str
    label: str
    help: str | None = None
    start: Any = None
    """The value at first, where it is not that of RunConfig."""
    width: int | str = "stretch"

    @property
    def first(self) -> Any:
        """The value at first."""
        if self.start is not None or self.field not in RunConfig.model_fields:
            return self.start
        return RunConfig.model_fields[self.field].default

    @property
    def offer(self) -> str:
        """The values that can be chosen, in words."""
        raise NotImplementedError

    def read(self, text: str) -> Any:
        """Return the value that the address asks for; raise ValueError with the values on offer."""
        raise NotImplementedError

    def write(self, value: Any) -> str:
        """Spell a value as Streamlit reads it from the address."""
        return str(value)

    def draw(self, first: Any = None, **options: Any) -> Any:
        """Draw the control and return its value. options: further ones of the Streamlit widget."""
        raise NotImplementedError

    def refuse(self, text: str) -> ValueError:
        """Explain why the address can't have this."""
        return ValueError(
            complaint(self.field, text) or f"{self.field}={text!r}: this page offers {self.offer}"
        )

    @property
    def _shared(self) -> dict[str, Any]:
        return {"key": self.field, "bind": "query-params", "help": self.help, "width": self.width}


@dataclass(frozen=True, kw_only=True)
class Choice(Control):
    """One of a few words, side by side."""

    options: tuple[str, ...]
    required: bool = True
    """Whether one of the words is always chosen."""
    hide_label: bool = False

    @property
    @override
    def offer(self) -> str:
        return ", ".join(map(repr, self.options[:-1])) + f" or {self.options[-1]!r}"

    @override
    def read(self, text: str) -> str:
        if text not in self.options:
            raise ValueError(f"{self.field}={text!r}: this page offers {self.offer}")
        return text

    @override
    def draw(self, first: str | None = None, **options: Any) -> Any:
        return st.segmented_control(
            self.label,
            self.options,
            default=self.first if first is None else first,
            required=self.required,
            label_visibility="collapsed" if self.hide_label else "visible",
            **self._shared,
            **options,
        )


@dataclass(frozen=True, kw_only=True)
class Menu(Choice):
    """One of several words, in a menu."""

    @override
    def draw(self, first: str | None = None, **options: Any) -> Any:
        return st.selectbox(self.label, self.options, **self._shared, **options)


@dataclass(frozen=True, kw_only=True)
class Switch(Control):
    """On or off."""

    @property
    @override
    def offer(self) -> str:
        return "'true' or 'false'"

    @override
    def read(self, text: str) -> bool:
        if text.lower() not in ("true", "false"):
            raise self.refuse(text)
        return text.lower() == "true"

    @override
    def write(self, value: bool) -> str:
        return str(value).lower()

    @override
    def draw(self, first: bool | None = None, **options: Any) -> Any:
        return st.toggle(self.label, **self._shared, **options)


@dataclass(frozen=True, kw_only=True)
class Number(Control):
    """A number to type. It is whole where its first value is."""

    low: float | None = None
    high: float | None = None
    step: float | None = None

    @property
    @override
    def offer(self) -> str:
        return f"{self.low:,} to {self.high:,}"

    @override
    def read(self, text: str) -> float:
        value = number(text)
        if value is not None and isinstance(self.first, int):
            value = int(value) if value.is_integer() else None
        inside = value is not None and (self.high is None or self.low <= value <= self.high)
        if not inside or complaint(self.field, value):
            raise self.refuse(text)
        return value

    @override
    def write(self, value: float) -> str:
        return spelled(value)

    @override
    def draw(self, first: float | None = None, **options: Any) -> Any:
        high = self.high
        if high is not None:
            high = max(high, st.session_state.get(self.field, high))  # a stored run may have more
        return st.number_input(
            self.label,
            self.low,
            high,
            self.first if first is None else first,
            self.step,
            None if isinstance(self.first, int) else "%g",
            **self._shared,
            **options,
        )


@dataclass(frozen=True, kw_only=True)
class Slider(Control):
    """A number on a slider with stops; an address or a stored run adds stops of its own."""

    stops: tuple[float, ...]

    @override
    def read(self, text: str) -> float:
        value = number(text)
        if value is None or not self.add_stop(value):
            raise self.refuse(text)
        return value

    @override
    def write(self, value: float) -> str:
        return spelled(value)

    def add_stop(self, value: float) -> bool:
        """Let the slider stand at a value between its stops; return whether the value is in range."""
        if complaint(self.field, value):
            return False
        visitor().stops[self.field].append(float(value))
        return True

    @override
    def draw(
        self, first: float | None = None, name: tuple[float, str] | None = None, **options: Any
    ) -> Any:
        """Draw the slider. name: a value, and what to write after it."""
        first = self.first if first is None else first
        return st.select_slider(
            self.label,
            sorted({*self.stops, *visitor().stops[self.field], first}),
            value=first,
            format_func=lambda v: spelled(v) + (name[1] if name and v == name[0] else ""),
            **self._shared,
            **options,
        )


def number(text: str) -> float | None:
    """Return the finite number that a text spells, as Python or JavaScript would, or None.

    >>> number("2.5e1"), number("1e-5"), number("inf"), number("many")
    (25.0, 1e-05, None, None)
    """
    try:
        value = float(text)
    except ValueError:
        return None
    return value if isfinite(value) else None


def spelled(value: float) -> str:
    """Spell a number in the shortest way that loses no digit.

    >>> spelled(25.0), spelled(0.7), spelled(1e-5), spelled(0.12345678)
    ('25', '0.7', '1e-05', '0.12345678')
    """
    short = f"{value:g}"
    return short if float(short) == value else str(value)


def complaint(field: str, value: Any) -> str:
    """Return why RunConfig refuses a value for a field, or an empty string."""
    if field not in RunConfig.model_fields:
        return ""
    try:
        RunConfig(**{field: value})
    except ValidationError as error:
        if any(item["loc"][:1] == (field,) for item in error.errors()):  # not for what other fields are
            return explain(error)
    return ""
