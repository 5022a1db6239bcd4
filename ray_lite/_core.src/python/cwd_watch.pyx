"""Watching for changes of the working directory, and for new threads, by an audit hook of the interpreter.

Reading the directory costs a system call, more than a whole submission.  The hook hears of `os.chdir` and `os.fchdir` before
they happen: so from then on each call reads the directory, until the thread that changes it makes a call itself.  C code that
changes the directory raises no audit event and is missed.
"""
cdef extern from *:
    """
    #define RL_ANYBODY (~0ul) /* any thread, or the hook is not there */
    static unsigned long rl_cwd_mover = RL_ANYBODY; /* thread that may be changing it; 0: none. Under the GIL */
    static unsigned long rl_thread_starts; /* threads that Python has started so far */
    static int rl_on_audit(const char *event, PyObject *args, void *data) {
        unsigned long me;
        if (event[0] == 'o' && strcmp(event, "os.chdir") == 0) {
            me = PyThread_get_thread_ident();
            rl_cwd_mover = rl_cwd_mover == 0 || rl_cwd_mover == me ? me : RL_ANYBODY;
        } else if (event[0] == '_' && strncmp(event, "_thread.start_", 14) == 0) {
            rl_thread_starts++;
        } else if (event[0] == 'r' && strcmp(event, "ray_lite.watch") == 0) {
            rl_cwd_mover = 0;
        }
        return 0;
    }
    static int rl_watch(void) {
        static int asked;
        if (asked) return 0;
        asked = 1;
        return PySys_AddAuditHook(rl_on_audit, NULL) ? -1 : PySys_Audit("ray_lite.watch", NULL);
    }
    static unsigned long rl_me(void) { return PyThread_get_thread_ident(); }
    """
    unsigned long rl_cwd_mover, rl_thread_starts
    unsigned long rl_me()
    int rl_watch() except -1
cdef rl_stat directory  # the working directory when it was last marked


def watch_cwd():
    """Installs the audit hook, for the rest of the process's life, since a hook can't be removed.

    If another hook forbids it, or the event that tests it, each check of the directory is a system call.
    """
    try:
        rl_watch()
    except Exception:
        pass


cdef void cwd_settled() noexcept:
    global rl_cwd_mover
    rl_cwd_mover = 0


cdef void cwd_mark() noexcept:
    """Marks the working directory: from now on others are compared with it."""
    stat(b".", &directory)
    if rl_cwd_mover == rl_me():
        cwd_settled()


cdef bint cwd_changed() noexcept:
    """Whether the working directory differs from the marked one."""
    cdef rl_stat now
    if rl_cwd_mover == 0:
        return False
    if stat(b".", &now) != 0 or now.st_ino != directory.st_ino or now.st_dev != directory.st_dev:
        return True
    if rl_cwd_mover == rl_me():
        cwd_settled()
    return False
