"""The text of a remote traceback, which shows the user's frames only.

Formatting frames takes longer than the rest of a failing task, and a task that fails in a loop fails at the same line: the text
of its frames is made once.  Neighbour: failures.py.
"""

from __future__ import annotations

from types import CodeType, TracebackType

OURS = ("_core.src/python/execute.pyx", "ray_lite/calls/instance.py")  # files of the frames that call the user's function
REMEMBERED = 256  # most stacks whose text is kept

# By the code, and the instruction, of each frame: the text, and the code itself, whose id stays its own that way.  Codes of
# different files may be equal.
_stacks: dict[tuple[tuple[int, int], ...], tuple[str, list[CodeType]]] = {}


def traceback_text(error: BaseException) -> str:
    """The text of an exception with its frames, causes and notes, as an interpreter shows it."""
    import traceback

    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None and trace.tb_frame.f_code.co_filename.endswith(OURS):
        trace = trace.tb_next  # only the user's frames help the user
    try:
        if trace is None or not _is_alone(error):
            return "".join(traceback.format_exception(type(error), error, trace))
        only = "".join(traceback.format_exception_only(type(error), error))
        return f"Traceback (most recent call last):\n{_stack_text(trace)}{only}"
    except Exception as problem:  # the exception can't be formatted, or is nested too deep
        frames = "".join(traceback.format_tb(trace))
        return f"Traceback (most recent call last):\n{frames}{type(error).__qualname__} (showing it failed: {problem!r:.200})\n"


def _is_alone(error: BaseException) -> bool:
    """Whether the text of an exception is its frames and a line, which does not depend on them."""
    if isinstance(error, (NameError, AttributeError, ImportError)):  # Python looks for similar names in the frames
        return False
    has_context = error.__context__ is not None and not error.__suppress_context__
    return error.__cause__ is None and not has_context and not hasattr(error, "exceptions")


def _stack_text(trace: TracebackType) -> str:
    """The text of frames; of those that were shown before it is known."""
    import traceback

    places: list[tuple[int, int]] = []
    codes: list[CodeType] = []
    at: TracebackType | None = trace
    while at is not None:
        codes.append(at.tb_frame.f_code)
        places.append((id(codes[-1]), at.tb_lasti))
        at = at.tb_next
    key = tuple(places)
    known = _stacks.get(key)
    if known is None:
        if len(_stacks) >= REMEMBERED:
            _stacks.clear()
        known = _stacks[key] = "".join(traceback.format_tb(trace)), codes
    return known[0]
