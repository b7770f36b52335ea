"""Places where code of agents and of repositories runs: bubblewrap (contained) and direct (not).

`open.open_sandbox` is the door. What is shared: `starting` starts the `reaper`, a program
that runs the command and leaves nothing of it behind; `supervision` sees the tree of processes to
its end, `process_tree` measures it, `limits` and `output` bound it. What only the
contained one has: `mounts` (what it sees) and `seccomp` (what it may ask of the kernel).
"""
