"""password_proof.py: who knows a password, without saying it."""

from ray_lite.node.password_proof import DRIVER, HOST, is_proof, nonce, proof


def test_both_ends_can_prove_it():
    nonces = nonce(), nonce()
    for whose in (HOST, DRIVER):
        assert is_proof(proof("secret", whose, nonces), "secret", whose, nonces)
        assert "secret" not in proof("secret", whose, nonces)


def test_nothing_else_is_a_proof():
    nonces = nonce(), nonce()
    true = proof("secret", HOST, nonces)
    assert not is_proof(true, "other", HOST, nonces), "another password"
    assert not is_proof(true, "secret", DRIVER, nonces), "the other end's, sent back"
    assert not is_proof(true, "secret", HOST, (nonces[1], nonces[0]))
    assert not is_proof(true, "secret", HOST, (nonces[0], nonce())), "an earlier one"
    for text in ("", "x", "ä", None, 5, true[:-1]):
        assert not is_proof(text, "secret", HOST, nonces)


def test_each_number_is_new():
    assert len({nonce() for _ in range(100)}) == 100
