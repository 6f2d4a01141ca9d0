import os
import subprocess
import sys


def test_server():
    server = subprocess.Popen(
        [sys.executable, "-c", "import signal; print('up', flush=True); signal.pause()"],
        stdout=subprocess.PIPE,
        start_new_session=True,  # so that not even a ^C reaches it
    )
    assert server.stdout.readline() == b"up\n"
    if os.environ.get("STOP_SERVER"):  # what the author has forgotten
        server.terminate()
        server.wait()
