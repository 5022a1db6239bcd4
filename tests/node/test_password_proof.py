"""password_proof.py: who knows a password, without saying it."""

from ray_lite.node.password_proof import DRIVER, HOST, Ends, is_nonce, is_proof, nonce, proof

ENDS = Ends((10, 1000), (20, 1001), nonce(), nonce())


def test_both_ends_can_prove_it():
    for whose in (HOST, DRIVER):
        assert is_proof(proof("secret", whose, ENDS), "secret", whose, ENDS)
        assert "secret" not in proof("secret", whose, ENDS)


def test_nothing_else_is_a_proof():
    true = proof("secret", HOST, ENDS)
    assert not is_proof(true, "other", HOST, ENDS), "another password"
    assert not is_proof(true, "secret", DRIVER, ENDS), "the other end's, sent back"
    for change in ({"driver": (11, 1000)}, {"driver": (10, 1002)}, {"host": (21, 1001)}, {"host": (20, 0)}):
        assert not is_proof(true, "secret", HOST, ENDS._replace(**change)), "passed on by somebody between the ends"
    for change in ({"driver_nonce": nonce()}, {"host_nonce": nonce()}):
        assert not is_proof(true, "secret", HOST, ENDS._replace(**change)), "an earlier one"
    for text in ("", "x", "ä", "\ud800", true[:-1]):
        assert not is_proof(text, "secret", HOST, ENDS)


def test_each_number_is_new():
    assert len({nonce() for _ in range(100)}) == 100
    assert is_nonce(nonce()) and not any(map(is_nonce, ("", "x" * 64, "\ud800" * 64, nonce().upper(), nonce() + "0")))
