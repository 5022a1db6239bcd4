"""session_dir.py: the end of a session's directory, whose lock says whether its session lives."""

import os

import pytest

from ray_lite.system import session_dir


def test_removing_a_directory_twice_is_fine(tmp_path):
    directory = tmp_path / "session"
    directory.mkdir()
    (directory / "file").write_text("x")
    session_dir.remove(str(directory))
    assert not directory.exists()
    session_dir.remove(str(directory))


@pytest.fixture
def base(tmp_path, monkeypatch):
    """The parent of session directories."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return tmp_path


def test_a_directory_goes_when_its_session_has_ended_and_not_before(base):
    """Its name has the pid of no process here: that of one in another pid namespace."""
    path = base / f"{session_dir.PREFIX}-{os.getuid()}-{1 << 30}-0123456789abcdef"
    lock = session_dir.make(str(path))
    session_dir.new_path()
    assert (path / session_dir.LOGS).is_dir()
    os.close(lock)
    session_dir.new_path()
    assert not path.exists()


def test_other_files_stay(base):
    """Those of another program, and what is no directory."""
    (base / f"{session_dir.PREFIX}-{os.getuid()}-1-0123456789abcdef").write_text("x")
    (base / "ray_lite-of-another-program").mkdir()
    (base / f"{session_dir.PREFIX}-{os.getuid()}-2-0123456789abcdef").symlink_to("ray_lite-of-another-program")
    before = sorted(base.iterdir())
    session_dir.new_path()
    assert sorted(base.iterdir()) == before


def test_a_directory_is_never_lost_before_it_is_locked(base, forked):
    """While another process takes each directory that it can lock for stale."""

    def take_all():
        while True:
            session_dir.new_path()

    remover = forked(take_all)
    for _ in range(2000):
        path = session_dir.new_path()
        lock = session_dir.make(path)
        assert sorted(os.listdir(path)) == [session_dir.LOGS]
        os.close(lock)
    assert not remover.ended()


def test_a_trial_leaves_nothing(base, monkeypatch):
    stale = base / f"{session_dir.PREFIX}-{os.getuid()}-{1 << 30}-0123456789abcdef"
    stale.mkdir()
    session_dir.try_out()
    assert list(base.iterdir()) == [stale], "nor does it clear up"
    monkeypatch.setattr(session_dir, "private_parent", lambda: str(base / "gone"))
    with pytest.raises(FileNotFoundError, match="gone"):
        session_dir.try_out()
