"""report_ids.pyx: numbers of failures, and what was raised."""

from ray_lite import _core

BITS = 262_144


def test_numbers_go_up_from_one(region):
    assert [_core.next_report_id(region) for _ in range(3)] == [1, 2, 3]


def test_a_raised_one_is_known_and_no_other(region):
    first, second, third = (_core.next_report_id(region) for _ in range(3))
    _core.mark_raised(region, second)
    assert [_core.was_raised(region, serial) for serial in (first, second, third)] == [False, True, False]


def test_a_number_whose_bit_was_used_before_is_not_raised(region):
    first = _core.next_report_id(region)
    _core.mark_raised(region, first)
    for _ in range(BITS - 1):
        _core.next_report_id(region)
    assert _core.was_raised(region, first)
    again = _core.next_report_id(region)
    assert again == first + BITS and not _core.was_raised(region, again)


def test_a_forked_child_may_ask(region, forked):
    serial = _core.next_report_id(region)
    _core.mark_raised(region, serial)

    def child():
        assert _core.was_raised(region, serial)

    assert forked(child).wait() == 0


def test_a_closed_region_knows_nothing(make_region):
    region = make_region()
    region.close()
    assert not _core.was_raised(region, 1)
