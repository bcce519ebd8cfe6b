"""Celery: sends JOBS tasks, then one worker of ten threads does them, acknowledging late.

Arguments: path of the Redis socket, jobs, bytes of payload. Prints jobs a second of processing.
"""
import os
import sys
import threading
import time

from celery import Celery

PATH, COUNT, SIZE = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
app = Celery("bench", broker="redis+socket://" + PATH)
app.conf.update(task_acks_late=True, task_ignore_result=True, worker_hijack_root_logger=False)
lock, done, finished = threading.Lock(), [0], threading.Event()


@app.task(name="job")
def job(_payload):
    with lock:
        done[0] += 1
        if done[0] == COUNT:
            finished.set()


def main():
    for _ in range(COUNT):
        job.delay("x" * SIZE)
    worker = app.WorkController(pool="threads", concurrency=10, without_gossip=True,
                                without_mingle=True, without_heartbeat=True, loglevel="ERROR")
    start = time.monotonic()
    threading.Thread(target=worker.start, daemon=True).start()
    finished.wait()
    print(COUNT / (time.monotonic() - start), flush=True)
    os._exit(0)  # The worker has no other end.


main()
