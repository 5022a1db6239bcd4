"""session_dir.py: the end of a session's directory."""

from ray_lite.system import session_dir


def test_removing_a_directory_twice_is_fine(tmp_path):
    directory = tmp_path / "session"
    directory.mkdir()
    (directory / "file").write_text("x")
    session_dir.remove(str(directory))
    assert not directory.exists()
    session_dir.remove(str(directory))
