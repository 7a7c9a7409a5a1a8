"""Runs mutants against test commands. Usable as a library."""
import subprocess, os, time, json, signal, resource
def run(cmd, cwd, env, timeout, mem=6<<30):
    e = dict(os.environ, RUST_BACKTRACE='0', **env)
    def pre():
        os.setsid(); os.nice(2)
        resource.setrlimit(resource.RLIMIT_CORE, (0,0))
        if mem: resource.setrlimit(resource.RLIMIT_DATA, (mem, mem))
    t = time.time()
    p = subprocess.Popen(cmd, cwd=cwd, env=e, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, preexec_fn=pre)
    try:
        out, _ = p.communicate(timeout=timeout); rc = p.returncode; to = False
    except subprocess.TimeoutExpired:
        os.killpg(p.pid, signal.SIGKILL); out, _ = p.communicate(); rc = None; to = True
    return dict(rc=rc, timeout=to, took=time.time()-t, out=out.decode(errors='replace'))
