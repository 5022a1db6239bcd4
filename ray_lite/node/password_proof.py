"""Proof that both ends of a connection know a session's password, which neither of them sends.

    driver -> host   a number that it has drawn
    host -> driver   another one, and its proof: a digest (HMAC, RFC 2104) of both under the password
    driver -> host   its own proof, in the Hello

Neighbours: attach_link.py has the messages; jobs.py and driver/attach.py are the ends.
"""

from __future__ import annotations

import os

HOST, DRIVER = "host", "driver"  # whose proof it is: no end can send the other's back
NONCE_BYTES = 32
NONCE_MOST = 128  # characters of the other end's number


def nonce() -> str:
    """A new number, as text."""
    return os.urandom(NONCE_BYTES).hex()


def proof(password: str, whose: str, nonces: tuple[str, str]) -> str:
    """The proof of one end.

    Args:
        nonces: the driver's and the host's.
    """
    import hmac  # few drivers give a password

    return hmac.new(password.encode(), "\0".join((whose, *nonces)).encode(), "sha256").hexdigest()


def is_proof(text: object, password: str, whose: str, nonces: tuple[str, str]) -> bool:
    """Whether a text is that proof."""
    import hmac

    return isinstance(text, str) and text.isascii() and hmac.compare_digest(text, proof(password, whose, nonces))
