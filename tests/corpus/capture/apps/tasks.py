"""A Celery application with tasks that work, fail and are tried again."""
from celery import Celery

app = Celery("tasks", broker="memory://", backend="cache+memory://")
app.conf.update(broker_connection_retry_on_startup=True, worker_hijack_root_logger=True)


@app.task(bind=True, max_retries=1)
def charge(self, order):
    if order % 3 == 0:
        raise ValueError(f"card declined for order {order}")
    if order % 4 == 0:
        raise self.retry(countdown=0.1)
    return order


def main():
    import threading
    import time
    worker = app.Worker(pool="solo", loglevel="DEBUG", without_heartbeat=True, without_mingle=True, without_gossip=True, task_events=False)

    def feed():
        time.sleep(1)
        for order in range(1, 11):
            charge.delay(order)
        time.sleep(2)
        import os
        import signal
        os.kill(os.getpid(), signal.SIGTERM)
    threading.Thread(target=feed, daemon=True).start()
    worker.start()


main()
