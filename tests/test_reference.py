"""docs/reference.md: what tests/reference.py makes of the docstrings, with every public name."""

import pytest
import reference

import ray_lite


def test_the_page_is_up_to_date():
    page = (reference.ROOT / "docs/reference.md").read_text()
    assert page == reference.reference(), "python tests/reference.py writes it anew"


def test_every_public_name_is_there():
    functions = {name for names in reference.GROUPS.values() for name in names}
    assert functions | reference.OTHERS == set(ray_lite.__all__)
    tables = {name for name in vars(type(ray_lite.global_state)) if not name.startswith("_")}
    assert set(reference.TABLES) == tables
    assert len(list(reference.limits())) == len(ray_lite.config.Config._fields)


@pytest.mark.parametrize(("doc", "page"), [
    ("Does it.\n", "Does it.\n"),
    ("""Does it.

    It
    says so.

    Args:
        a: one,
            and two.
        b, c: three.

    Raises:
        TypeError: wrong.  ValueError: worse.
    """, "Does it.\n\nIt\nsays so.\n\n**Args**\n\n- `a`: one, and two.\n- `b`, `c`: three.\n\n"
         "**Raises**\n\n- `TypeError`: wrong.\n- `ValueError`: worse.\n"),
    ("""Does it.

    Returns:
        a dict: one
        or two.
    """, "Does it.\n\n**Returns**: a dict: one or two.\n"),
])
def test_a_docstring_becomes_markdown(doc, page):
    assert reference.markdown(doc) == page
