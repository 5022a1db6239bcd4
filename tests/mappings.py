"""What a mapping of this process costs."""


def private_kib(at):
    """KiB that this process has of its own in the mapping that contains the address."""
    with open("/proc/self/smaps") as file:
        inside = False
        for line in file:
            head = line.split()[0]
            if "-" in head and not head.endswith(":"):
                start, end = (int(part, 16) for part in head.split("-"))
                inside = start <= at < end
            elif inside and head == "Anonymous:":
                return int(line.split()[1])
    raise AssertionError("no such mapping")
