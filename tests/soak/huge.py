"""Huge pages for a run: asked of the kernel at the start and given back at the end, where this user may do that.

Neighbours: run.py holds them, lanes ask whether enough are free.
"""

NUMBER = "/proc/sys/vm/nr_hugepages"
PAGE = 2_097_152


class HugePages:
    """So many more than there were. `why`: why there are none."""

    def __init__(self, wanted):
        self.added, self.why = 0, ""
        try:
            before = number()
            change(wanted)
            self.added = number() - before
        except OSError as error:
            self.why = str(error)
        if not self.why and self.added < wanted:
            self.why = f"of {wanted} only {self.added} could be had"
            self.give_back()

    def enough(self, size):
        """Whether that many bytes are free, and as many for another lane, which may take them first."""
        facts = read()
        return bool(self.added) and (facts["HugePages_Free"] - facts["HugePages_Rsvd"]) * PAGE >= 2 * size

    def give_back(self):
        """As many less as were added: somebody else may have changed the number meanwhile."""
        if self.added > 0:
            change(-self.added)
        self.added = 0


def number():
    """How many are to stay: others, which end with their last user, count too in /proc/meminfo."""
    with open(NUMBER) as file:
        return int(file.read())


def change(by):
    there = max(0, number() + by)
    with open(NUMBER, "w") as file:
        file.write(str(there))


def read():
    """The kernel's counts of huge pages."""
    with open("/proc/meminfo") as file:
        words = [line.split() for line in file if line.startswith("HugePages")]
    return {name.rstrip(":"): int(number) for name, number in words}
