"""Report ids: numbers of failures, and which of these a `get` has raised, so that the others can be printed.

One bit per number, changed without the lock: a death between two steps may cause one printed report too many or too few.
Neighbours: control/report_channel.py numbers failures, backends/local.py marks them, control/process.py asks.
"""


def next_report_id(Region region) -> int:
    """A serial number above zero, marked as not raised; it is used again after 2**32 others, its bit after RL_REPORTS."""
    cdef uint32_t serial = 0
    check_region(region.R)
    while serial == 0:
        serial = rl_add(&region.R.h.reports, 1) + 1
    rl_clear_bit(region.R.h.raised, serial % RL_REPORTS)
    return serial


def mark_raised(Region region, uint32_t serial):
    """Notes that a `get` raises the failure of this number."""
    check_region(region.R)
    rl_set_bit(region.R.h.raised, serial % RL_REPORTS)


def was_raised(Region region, uint32_t serial) -> bool:
    """Whether a `get` raised the failure of this number. Any process that has the mapping may ask, a forked child too."""
    if region.R.closed:
        return False
    return rl_has_bit(region.R.h.raised, serial % RL_REPORTS) != 0
