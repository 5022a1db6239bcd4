"""Proof that both ends of a connection know a session's password, which neither of them sends.

    driver -> host   a number that it has drawn
    host -> driver   another one, and its proof: a digest (HMAC, RFC 2104) of both, and of who both are, under the password
    driver -> host   its own proof, in the Hello

Neighbours: attach_link.py has the messages; jobs.py and driver/attach.py are the ends.
"""

from __future__ import annotations

import os
from typing import NamedTuple

HOST, DRIVER = "host", "driver"  # whose proof it is: no end can send the other's back
NONCE_BYTES = 32


def nonce() -> str:
    """A new number, as text."""
    return os.urandom(NONCE_BYTES).hex()


class Ends(NamedTuple):
    """What a proof is about. Nobody between the ends can pass one on, since each end would see him instead of the other."""

    driver: tuple[int, int]  #: its pid and uid, as the other end's kernel says (SO_PEERCRED)
    host: tuple[int, int]  #: the same
    driver_nonce: str
    host_nonce: str


def is_nonce(text: str) -> bool:
    """Whether a text can be an end's number."""
    return len(text) == 2 * NONCE_BYTES and not set(text) - set("0123456789abcdef")


def proof(password: str, whose: str, ends: Ends) -> str:
    """The proof of one end."""
    import hmac  # few drivers give a password

    return hmac.new(password.encode(), repr((whose, *ends)).encode(), "sha256").hexdigest()


def is_proof(text: str, password: str, whose: str, ends: Ends) -> bool:
    """Whether a text is that proof."""
    import hmac

    return text.isascii() and hmac.compare_digest(text, proof(password, whose, ends))
